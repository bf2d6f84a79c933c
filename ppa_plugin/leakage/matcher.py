"""Lines looked for in a text of any size: as whole lines, long ones also within lines."""

import hashlib
from collections.abc import Iterator
from itertools import accumulate

from ppa_plugin.leakage.words import is_long, words_of

Key = bytes  # of a line that is looked for
_KEY_BYTES = 16
# How many letters of a long line are looked up first, the most that it has of these; eight words have eight.
_STARTS = (32, 8)


class Matcher:
    """A set of lines, and which of them stand in others.

    Compared are the letters of the words (`words_of`), so that it does not matter how a line was cut into words. A line
    stands in another where both have the same letters, or, of a long line (`is_long`), where a run of the other's words
    has. Lines are held by 128-bit digests: some 250 bytes of memory for each, however long.
    """

    def __init__(self) -> None:
        self.owners: dict[Key, int] = {}  # who added a line first
        self._long: set[Key] = set()
        # of the hash of so many first letters: how many letters the long lines have that begin so
        self._lengths: dict[int, dict[int, tuple[int, ...]]] = {size: {} for size in _STARTS}
        self._shared: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.owners)

    def add(self, line: str, owner: int = 0) -> Key | None:
        """Look for `line` from now on, on behalf of `owner`; the line's key, None where it has no letters."""
        words = words_of(line)
        if not words:
            return None
        letters = "".join(words)
        key = _key(letters)
        self.owners.setdefault(key, owner)
        if key not in self._long and is_long(words):
            self._long.add(key)
            size = next(size for size in _STARTS if size <= len(letters))
            lengths, start = self._lengths[size], hash(letters[:size])
            of_start = tuple(sorted({*lengths.get(start, ()), len(letters)}))
            lengths[start] = self._shared.setdefault(of_start, of_start)
        return key

    def whole(self, line: str) -> Key | None:
        """The line that has the letters of `line`, if there is one."""
        key = _key("".join(words_of(line)))
        return key if key in self.owners else None

    def found_in(self, line: str) -> Iterator[tuple[Key, bool]]:
        """Yield each line that stands in `line`, the one that is all of it first, and whether it is all of it.

        A long line comes as often as it stands there.
        """
        words = words_of(line)
        letters = "".join(words)
        whole = _key(letters)
        if whole in self.owners:
            yield whole, True
        if not self._long:
            return
        starts = [0, *accumulate(map(len, words))]
        ends = frozenset(starts)
        for size, lengths in self._lengths.items():
            if size > len(letters):
                continue
            hashes = [hash(letters[start : start + size]) for start in starts]
            if lengths.keys().isdisjoint(hashes):  # almost always
                continue
            for start, hashed in zip(starts, hashes, strict=True):
                for length in lengths.get(hashed, ()):
                    if start + length in ends and length < len(letters):
                        key = _key(letters[start : start + length])
                        if key in self._long:
                            yield key, False


def _key(letters: str) -> Key:
    return hashlib.blake2b(letters.encode(errors="surrogatepass"), digest_size=_KEY_BYTES).digest()
