"""Romanizing a chunk of lines: each distinct part once, from memory, from the cache on disk, or by the romanizer."""

import functools
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from ppa_plugin.romanization.cache import CacheTrouble, RomanizationCache
from ppa_plugin.romanization.romanizers import Romanizer, find_romanizer

# Parts in memory: at most twice as many, 60 MB of words, are held by each process.
RECENT_PARTS = 1 << 17


@dataclass(frozen=True)
class Romanization:
    """How lines are romanized; what a worker process has to know.

    `lang` is an ISO 639-3 code for the romanizer or None, `cache` the file of the romanizer cache or None for memory
    alone. `normalize_punctuation` runs Moses' punctuation normalizer, as for English, over what the romanizer reads:
    curly, low and angle quotes become straight ones, long dashes hyphens, an ellipsis three dots, spaces around
    brackets, colons and percent signs move, a full stop or comma after a quote goes before it. The Latin side alone
    changes; the original side stays as it is.
    """

    name: str
    lang: str | None = None
    normalize_punctuation: bool = False
    cache: Path | None = None

    def made_with(self) -> dict[str, str | None]:
        """All that the romanizations depend on, versions included."""
        normalizer = f"sacremoses {metadata.version('sacremoses')}" if self.normalize_punctuation else None
        version = find_romanizer(self.name).version
        return {"romanizer": self.name, "version": version, "code": self.lang, "punctuation": normalizer}


class Chunk(NamedTuple):
    """What a chunk of lines comes to, line for line, and what is to be done about the cache."""

    latn: list[str]
    reasons: list[str | None]  # why a line has no romanization
    new: dict[str, str]  # romanizations that the cache lacks
    trouble: CacheTrouble | None  # what reading it came to


@functools.cache
def load_romanizer(name: str) -> Romanizer:
    """The romanizer of that name, loaded once: uroman takes seconds, and forked processes inherit it."""
    return find_romanizer(name)()


class RecentParts(dict):
    """Romanizations by part: those of the last so many parts, as a dict whose look-ups keep what is used.

    When it holds `most` parts they become the old ones, and the old ones before them are forgotten; an old one that is
    looked up is taken over. So a look-up costs what a dict's costs, and no more than 2 x `most` are held between calls
    of `forget_the_oldest`.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._old: dict[str, str] = {}

    def __missing__(self, part: str) -> str:
        latn = self[part] = self._old[part]
        return latn

    def __contains__(self, part: object) -> bool:
        return super().__contains__(part) or part in self._old

    def forget_the_oldest(self) -> None:
        if len(self) >= self._most:
            self._old = dict(self)
            self.clear()


class PartwiseRomanizer:
    """Romanizes chunks of lines in one process; open it after the process was forked, and close it."""

    def __init__(self, settings: Romanization) -> None:
        self._romanizer = load_romanizer(settings.name)
        self._lang = settings.lang
        self._split = getattr(self._romanizer, "split", None)
        self._normalize = None
        if settings.normalize_punctuation:
            from sacremoses import MosesPunctNormalizer  # half a second that few need

            self._normalize = MosesPunctNormalizer().normalize
        self._recent = RecentParts(RECENT_PARTS)
        self._cache = None
        self._trouble: CacheTrouble | None = None
        if settings.cache and self._split:
            try:
                self._cache = RomanizationCache(settings.cache, settings.name, self._romanizer.version, settings.lang)
                self._recent.update(self._cache.first(RECENT_PARTS))
            except CacheTrouble as trouble:
                self._give_up(trouble)

    def romanize(self, lines: list[str]) -> Chunk:
        """Romanize lines without `\\n` that have a UTF-8 form; one that fails costs no other its romanization."""
        texts = [self._normalize(line) for line in lines] if self._normalize else lines
        if self._split:
            rows, new = self._by_parts(texts)
        else:
            rows, new = [self._attempt(text) for text in texts], {}
        latn, reasons = (list(column) for column in zip(*map(_one_line, rows), strict=True)) if rows else ([], [])
        return Chunk(latn, reasons, new, self._trouble)

    def close(self) -> None:
        """Let go of the cache's file."""
        if self._cache:
            self._cache.close()

    def _by_parts(self, texts: list[str]) -> tuple[list[tuple[str, str | None]], dict[str, str]]:
        self._recent.forget_the_oldest()
        split = [self._split(text) for text in texts]
        latn = [self._joined(parts) for parts in split]
        missing = {part for parts, known in zip(split, latn, strict=True) if known is None for part in parts}
        failed, new = self._look_up([part for part in missing if part not in self._recent])
        rows: list[tuple[str, str | None]] = []
        for parts, known in zip(split, latn, strict=True):
            joined = self._joined(parts) if known is None else known
            reason = next(failed[part] for part in parts if part in failed) if joined is None else None
            rows.append((joined or "", reason))
        return rows, new

    def _joined(self, parts: list[str]) -> str | None:
        """The romanizations in memory of the parts, joined; None where one is missing."""
        try:
            return "".join(map(self._recent.__getitem__, parts))
        except KeyError:
            return None

    def _look_up(self, missing: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Put romanizations of the parts into memory; give the reasons of those that fail, and what is new on disk."""
        if self._cache:
            try:  # ASCII takes no time, and is not kept
                self._recent.update(self._cache.find(part for part in missing if not part.isascii()))
            except CacheTrouble as trouble:
                self._give_up(trouble)
        failed, new = {}, {}
        for part in missing:
            if part in self._recent:
                continue
            latn, reason = self._attempt(part)
            if reason:
                failed[part] = reason
                continue
            self._recent[part] = latn
            if self._cache and not part.isascii():
                new[part] = latn
        return failed, new

    def _give_up(self, trouble: CacheTrouble) -> None:
        self._trouble = trouble
        self.close()
        self._cache = None

    def _attempt(self, text: str) -> tuple[str, str | None]:
        try:
            latn = self._romanizer.romanize(text, self._lang)
            latn.encode()
            return latn, None
        except MemoryError:
            raise
        except Exception as error:  # whatever one sentence does to the romanizer, the others are not lost
            return "", f"romanizer raised {type(error).__name__}"


def _one_line(row: tuple[str, str | None]) -> tuple[str, str | None]:
    return ("", "romanization has a line break") if "\n" in row[0] else row
