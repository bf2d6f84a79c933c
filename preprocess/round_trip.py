"""Binarized pairs back to text: whether they spell the lines of `pairs/` that they were made from."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ppa_preprocess.tokens.alignment import BlockMaker
from ppa_preprocess.tokens.binarizers import shard_bounds
from ppa_preprocess.tokens.line_encoder import token_dtype
from ppa_preprocess.tokens.records import open_lines
from ppa_preprocess.tokens.storage import Tokens, lines_path
from ppa_preprocess.workspace import Workspace
from sentencepiece import SentencePieceProcessor

from ppa_plugin.commandline import UserError
from ppa_plugin.data.blocks import ALIGN, DTYPE
from ppa_plugin.data.masking import SIDES, UNK
from ppa_plugin.data.sampling import random_order
from ppa_plugin.data.shards import binarized_path, index_sizes
from ppa_plugin.data.tokenizer_file import TokenizerFile
from ppa_plugin.data.vocabulary import SPECIALS, pieces

_AGAIN = "run `ppa-preprocess all` again, or verify with --sample 0, which compares no text"
_NO_TEXT = b"\xff"  # in no UTF-8 text


class Speller:
    """What rows of tokens stand for, and what SentencePiece makes of a text before it cuts it into pieces."""

    def __init__(self, processor: SentencePieceProcessor, max_tokens: int) -> None:
        """`max_tokens` is the longest side that was written, with `<s>` and `</s>`."""
        self._normalize = processor.normalize
        self._longest = max_tokens - 1  # </s> is in the row, <s> is not
        self._spellings = [_NO_TEXT] * len(SPECIALS)
        # not the dictionary's names, which are no text where an entry is escaped
        self._spellings += [piece.encode() for piece in pieces(processor)]
        self._spellings.append(_NO_TEXT)  # <mask>
        self.dtype = token_dtype(len(self._spellings))

    def agrees(self, row: bytes, text: str) -> bool:
        """Whether a row spells `text` as normalised; one that was cut spells its beginning.

        `<unk>` stands for any characters, at least one: the dictionary does not know which.
        """
        tokens = np.frombuffer(row, dtype=self.dtype).tolist()
        known = [b""]
        for token in tokens[:-1]:
            if token == UNK:
                known.append(b"")
            else:
                known[-1] += self._spellings[token]
        return _matches(self._normalize(text).encode(), known, whole=len(tokens) < self._longest)


class ReEncoder:
    """What rows of tokens have to be: what a `tokenizer.json` makes of the text, where its pieces do not spell it."""

    def __init__(self, file: TokenizerFile, max_tokens: int) -> None:
        self._encode = file.encode
        self._longest = max_tokens - 2
        self.dtype = token_dtype(len(file.tokens))

    def agrees(self, row: bytes, text: str) -> bool:
        """Whether a row is that of `text`, cut where it is too long."""
        tokens = np.frombuffer(row, dtype=self.dtype)[:-1]
        return np.array_equal(tokens, self._encode([text])[0][: self._longest])


def check_pairs(
    manifest: dict[str, Any],
    workspace: Workspace,
    speller: Speller | ReEncoder,
    sample: int,
    maker: BlockMaker | None = None,
) -> int:
    """Compare up to `sample` pairs of each language, drawn at random, with their lines; returns how many they were.

    With `maker`, their token blocks too. Raises `UserError` where one differs, or where `pairs/` or `encoded/` is not
    what the shards were made from.
    """
    compared = 0
    for lang in manifest["languages"] if sample else ():
        compared += _check_language(lang, manifest, workspace, speller, sample)
        if maker:
            _check_blocks(lang, manifest, workspace, maker, sample)
    return compared


def _check_language(
    lang: str, manifest: dict[str, Any], workspace: Workspace, speller: Speller | ReEncoder, sample: int
) -> int:
    language, group = manifest["languages"][lang], manifest["group"]
    lines = _load_lines(lang, language, workspace)
    chosen = np.sort(random_order(len(lines), group["seed"], "verify", lang)[:sample])
    for side, path in zip(SIDES, workspace.pair(lang), strict=True):
        if not path.is_file() or workspace.digest(path) != language["pairs_sha256"][side]:
            raise UserError(f"{path} is missing or not what the shards were made from; {_AGAIN}")
        with open_lines(path) as texts:
            for prefix, start, stop in _files(lang, language, group["shards"], side, workspace):
                rows = chosen[(chosen >= start) & (chosen < stop)]
                pairs = zip(
                    rows, _binarized_rows(prefix, rows - start, speller.dtype), texts.take(lines[rows]), strict=True
                )
                for row, tokens, text in pairs:
                    if not speller.agrees(tokens, text.decode()):
                        raise UserError(
                            f"{prefix}.bin: row {row - start} (from 0) does not spell line {lines[row] + 1} of {path}, "
                            "from which it was made; run `ppa-preprocess all` again"
                        )
    return len(chosen)


def _check_blocks(lang: str, manifest: dict[str, Any], workspace: Workspace, maker: BlockMaker, sample: int) -> None:
    """Raise `UserError` where token blocks are not those of the pairs' lines and their edges; as `_check_language`."""
    language, group = manifest["languages"][lang], manifest["group"]
    lines = _load_lines(lang, language, workspace)
    chosen = np.sort(random_order(len(lines), group["seed"], "verify", lang)[:sample])
    edges = workspace.edges(lang)
    if not edges.is_file() or workspace.digest(edges) != language["pairs_sha256"]["edges"]:
        raise UserError(f"{edges} is missing or not what the blocks were made from; {_AGAIN}")
    with contextlib.ExitStack() as opened:
        texts = [opened.enter_context(open_lines(path)) for path in (*workspace.pair(lang), edges)]
        for prefix, start, stop in _files(lang, language, group["shards"], ALIGN, workspace):
            rows = chosen[(chosen >= start) & (chosen < stop)]
            expected = maker.rows([list(text.take(lines[rows])) for text in texts])
            found = _binarized_rows(prefix, rows - start, DTYPE)
            for row, blocks, right in zip(rows, found, expected, strict=True):
                if blocks != right:
                    raise UserError(
                        f"{prefix}.bin: row {row - start} (from 0) does not have the blocks of line {lines[row] + 1} "
                        f"of {edges}, from which it was made; run `ppa-preprocess all` again"
                    )


def _load_lines(lang: str, language: dict[str, Any], workspace: Workspace) -> np.ndarray:
    """The line of `pairs/` of each row: of the training rows over all shards, then of those for validation."""
    splits = []
    for split in ("train", "valid"):
        path = lines_path(workspace.encoded(lang), split)
        try:
            splits.append(np.load(path))
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise UserError(f"cannot read {path} ({error}), which says what line a row is; {_AGAIN}") from None
        if splits[-1].shape != (language[split],) or splits[-1].dtype != np.int64:
            raise UserError(f"{path} does not hold the {language[split]:,} rows of the manifest; {_AGAIN}")
    lines = np.concatenate(splits)
    if len(np.unique(lines)) != len(lines):
        raise UserError(f"{workspace.encoded(lang)}: two rows are of one line; {_AGAIN}")
    return lines


def _files(
    lang: str, language: dict[str, Any], shards: int, side: str, workspace: Workspace
) -> Iterator[tuple[Path, int, int]]:
    """Yield each binarized file of a side, and from and to which row of `_load_lines` it goes."""
    for shard, (start, stop) in enumerate(shard_bounds(language["train"], shards)):
        yield binarized_path(workspace.shard(shard, lang), "train", side), start, stop
    if language["valid"]:
        yield binarized_path(workspace.shard(0, lang), "valid", side), language["train"], language["kept"]


def _binarized_rows(prefix: Path, rows: np.ndarray, dtype: np.dtype) -> Iterator[bytes]:
    path = Path(f"{prefix}.bin")
    with open(path, "rb") as handle:
        yield from Tokens(path, handle.fileno(), index_sizes(prefix), dtype).take(rows)


def _matches(text: bytes, known: Sequence[bytes], whole: bool) -> bool:
    """Whether `text`, or without `whole` its beginning, is the parts of `known` with something between any two."""
    if not text.startswith(known[0]):
        return False
    place = len(known[0])
    for part in known[1:-1]:
        place = text.find(part, place + 1)
        if place < 0:
            return False
        place += len(part)
    if len(known) == 1:
        return place == len(text) or not whole
    if whole:
        return text.endswith(known[-1]) and len(text) - len(known[-1]) > place
    return text.find(known[-1], place + 1) >= 0
