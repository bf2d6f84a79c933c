"""A `tokenizer.json` of the tokenizers library as the tokenizer of training: its ids, and which of them are special.

What a directory of Transformers says of it is read, nothing assumed: what stands around a text is what the tokenizer
puts there, the other specials are named in `tokenizer_config.json`. A special that a text spells is text, as it is to
SentencePiece, and no special.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.data.masking import Specials
from ppa_plugin.files import check_file, read_json_object, reading

TOKENIZER_JSON, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
# where earlier releases of Transformers name the specials too
_SPECIALS_MAP = "special_tokens_map.json"
# every file of a directory that belongs to its tokenizer; the first two have to be there
FILES = (TOKENIZER_JSON, TOKENIZER_CONFIG, _SPECIALS_MAP)


class TokenizerFile:
    """A `tokenizer.json`, with the `tokenizer_config.json` beside it.

    Raises `UserError` where one is missing or not readable, its ids have gaps, it puts something else around a text
    than one token on either side, or names no token for padding or masking.
    """

    def __init__(self, path: Path):
        self.path = path
        check_file(path)
        # processes are forked for encoding; the library's own threads would not survive that
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        with reading(path, "a tokenizer.json"):
            try:
                self._tokenizer = Tokenizer.from_file(str(path))
            except Exception as error:  # the library raises plain Exceptions
                raise UserError(f"{path} cannot be read by the tokenizers library ({error})") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        ids = {index: token for token, index in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        gap = next((index for index in range(len(ids)) if index not in ids), None)
        if gap is not None:
            raise UserError(f"{path} has no token of the id {gap}, but higher ones; ids with gaps cannot be trained on")
        self.tokens = [ids[index] for index in range(len(ids))]
        self.specials = self._read_specials()

    def _read_specials(self) -> Specials:
        plain = self._tokenizer.encode("a", add_special_tokens=False).ids
        framed = self._tokenizer.encode("a").ids
        if framed[1:-1] != plain:
            raise UserError(
                f"{self.path} puts {len(framed) - len(plain)} tokens around a text; one before it and one after it is "
                "what a sequence has here"
            )
        named = self._named_specials()
        unknown = self._tokenizer.token_to_id(named["unk_token"]) if "unk_token" in named else None
        ids = {role: self._special(named, f"{role}_token") for role in ("pad", "mask")}
        return Specials(framed[0], ids["pad"], framed[-1], -1 if unknown is None else unknown, ids["mask"])

    def _named_specials(self) -> dict[str, str]:
        found: dict[str, Any] = {}
        for name in (_SPECIALS_MAP, TOKENIZER_CONFIG):
            beside = self.path.with_name(name)
            if name == TOKENIZER_CONFIG or beside.is_file():
                found |= read_json_object(beside)
        contents = {key: value.get("content") if isinstance(value, dict) else value for key, value in found.items()}
        return {key: value for key, value in contents.items() if key.endswith("_token") and isinstance(value, str)}

    def _special(self, named: dict[str, str], key: str) -> int:
        index = self._tokenizer.token_to_id(named[key]) if key in named else None
        if index is None:
            raise UserError(
                f"{self.path.with_name(TOKENIZER_CONFIG)}: {key} is {quoted(named.get(key))}, which is no token of "
                f"{self.path.name}; masked LM needs one"
            )
        return index

    def encode(self, lines: Sequence[str]) -> list[np.ndarray]:
        """The ids of each line (T,), without specials."""
        encoded = self._tokenizer.encode_batch_fast(list(lines), add_special_tokens=False)
        return [np.array(each.ids, dtype=np.int64) for each in encoded]

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        """What stands in each line where each of its tokens is; a character of several tokens is the first one's."""
        found = []
        for line, encoded in zip(
            lines, self._tokenizer.encode_batch(list(lines), add_special_tokens=False), strict=True
        ):
            seen, parts = 0, []
            for start, end in encoded.offsets:
                parts.append(line[max(start, seen) : end])
                seen = max(seen, end)
            found.append(parts)
        return found


@functools.lru_cache(maxsize=2)
def _load(path: Path, _changed: tuple[int, ...]) -> TokenizerFile:
    return TokenizerFile(path)


def load_tokenizer_file(path: str | Path) -> TokenizerFile:
    """As the class does, once a file and change: parsing some hundred thousand tokens takes a second."""
    check_file(path)
    files = [Path(path), *(Path(path).with_name(name) for name in FILES[1:])]
    return _load(Path(path), tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files))
