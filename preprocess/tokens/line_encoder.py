"""Lines to dictionary indices with SentencePiece, in every process alike, and indices to fairseq-preprocess's text."""

import functools
import itertools
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sentencepiece
from ppa_preprocess.text.exclusion import Excluded, load_matcher

from ppa_plugin import files
from ppa_plugin.commandline import UserError
from ppa_plugin.data.blocks import BlockAligner, Encoded
from ppa_plugin.data.masking import SIDES, Specials
from ppa_plugin.data.tokenizer_file import TokenizerFile, load_tokenizer_file
from ppa_plugin.data.vocabulary import SPECIALS, entries, is_tokenizer_json, load_sentencepiece, pieces, to_indices

# what became of a pair; ALIKE + r: the r-th romanizer (from 0) wrote the same of its line
KEPT, EMPTY_ORIG, EMPTY_LATN, IN_VALID, IN_EVALUATION, UNTOUCHED, ALIKE = range(7)
_SPECIALS_A_SIDE = 2  # <s> and </s>


@dataclass(frozen=True)
class EncodingSettings:
    """How lines become tokens. It names the model's file and digest instead of holding the model: processes load it."""

    spm: Path
    sha256: str
    max_tokens: int  # a side, with <s> and </s>
    exclude: tuple[Excluded, ...] = ()  # evaluation data: no pair whose romanization is a line of it
    alignment: bool = False


class EncodedPairs(NamedTuple):
    """Some pairs, encoded; the tuples have an entry a side. A pair that is not kept has no tokens."""

    outcomes: bytes  # one of KEPT, EMPTY_ORIG, EMPTY_LATN, IN_EVALUATION a pair
    tokens: tuple[bytes, ...]
    sizes: tuple[np.ndarray, ...]  # tokens of each pair with </s>, int32 (pairs,)
    cut: tuple[int, ...]  # sides that were longer than max_tokens
    unknown: tuple[int, ...]
    blocks: list[bytes]  # with `alignment`, the row of each pair (`ppa_plugin.data.blocks`), empty of one not kept


class LineEncoder:
    """A SentencePiece model and the dictionary that goes with it: index = SentencePiece id + 1, `<unk>` 3."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor) -> None:
        self._processor = processor
        self.aligner = BlockAligner(processor)
        # Not SentencePiece's own pieces: its piece for an unknown character is the character itself, and a string of
        # unknown ones could spell an entry of the dictionary, such as <mask>.
        self._symbols = [*SPECIALS, *entries(pieces(processor))]
        self.specials = Specials.xlmr(len(self._symbols) + 1)  # <mask>
        self.dtype = token_dtype(len(self._symbols) + 1)

    def indices(self, lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """(indices, lengths): those of all lines one after the other, without specials, and how many each line has."""
        ids = self._processor.encode(lines, out_type=int, num_threads=1)
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        # one array, not a list of lists: Python's garbage collector would go through these again and again
        return to_indices(np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int64, count=lengths.sum())), lengths

    def surfaces(self, lines: list[str]) -> list[list[str]]:
        """The pieces of each line, as SentencePiece normalises and cuts it; an unknown one is its characters."""
        return self._processor.encode(lines, out_type=str, num_threads=1)

    def text(self, row: bytes) -> str:
        """The symbols of a row but for its </s>, separated by spaces."""
        return " ".join([self._symbols[index] for index in np.frombuffer(row, dtype=self.dtype)[:-1].tolist()])


class TokenizerLineEncoder(LineEncoder):
    """The same with a `tokenizer.json`, whose ids are the dictionary's indices."""

    def __init__(self, file: TokenizerFile) -> None:
        self._file = file
        self._symbols = entries(file.tokens, first=0, taken=())
        self.specials = file.specials
        self.dtype = token_dtype(len(self._symbols))

    def indices(self, lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
        ids = self._file.encode(lines)
        return np.concatenate([np.empty(0, np.int64), *ids]), np.fromiter(map(len, ids), np.int64, len(ids))

    def surfaces(self, lines: list[str]) -> list[list[str]]:
        """What stands in each line in the place of each token."""
        return self._file.surfaces(lines)


def token_dtype(vocabulary: int) -> np.dtype:
    """The type in which fairseq-preprocess stores tokens of a dictionary with that many entries."""
    from fairseq.data.indexed_dataset import best_fitting_int_dtype

    return np.dtype(best_fitting_int_dtype(vocabulary))


@functools.cache
def load_encoder(spm: Path, sha256: str) -> LineEncoder:
    """The encoder of a model, loaded once a process; forked processes inherit it.

    Raises `UserError` where the file's digest is not `sha256`: on another machine the path may lead to another file.
    """
    if files.sha256(spm) != sha256:
        raise UserError(f"{spm} on {platform.node()} is another SentencePiece model than the run began with")
    if is_tokenizer_json(spm):
        return TokenizerLineEncoder(load_tokenizer_file(spm))
    return LineEncoder(load_sentencepiece(spm))


def encode_chunk(encoding: EncodingSettings, chunk: tuple[list[str], ...]) -> EncodedPairs:
    """Encode originals and romanizations, with `alignment` also those with edges marked; a side too long is cut.

    Not kept is a pair with an empty side, or whose romanization is a line of the evaluation data that is excluded.
    """
    encoder = load_encoder(encoding.spm, encoding.sha256)
    most = encoding.max_tokens - _SPECIALS_A_SIDE
    texts, marked = chunk[: len(SIDES)], chunk[len(SIDES) :]
    sides = [encoder.indices(lines) for lines in texts]
    (_, orig), (_, latn) = sides
    outcomes = np.where(orig == 0, EMPTY_ORIG, np.where(latn == 0, EMPTY_LATN, KEPT))
    if encoding.exclude:
        excluded = load_matcher(encoding.exclude)
        in_evaluation = np.array([excluded.whole(line) is not None for line in chunk[1]], dtype=bool)
        outcomes = np.where((outcomes == KEPT) & in_evaluation, IN_EVALUATION, outcomes)
    kept = [np.where(outcomes == KEPT, np.minimum(lengths, most), 0) for _, lengths in sides]
    eos, unk = encoder.specials.eos, encoder.specials.unk
    tokens = [rows(*side, wished, eos).astype(encoder.dtype) for side, wished in zip(sides, kept, strict=True)]
    blocks = []
    if encoding.alignment:
        encoded = [Encoded(lines, *side) for lines, side in zip(texts, sides, strict=True)]
        found = encoder.aligner.blocks(*encoded, *marked, most).rows()
        blocks = [row if outcome == KEPT else b"" for row, outcome in zip(found, outcomes.tolist(), strict=True)]
    return EncodedPairs(
        outcomes=outcomes.astype(np.uint8).tobytes(),
        tokens=tuple(side.tobytes() for side in tokens),
        sizes=tuple((wished + (wished > 0)).astype(np.int32) for wished in kept),
        cut=tuple(int(((outcomes == KEPT) & (lengths > most)).sum()) for _, lengths in sides),
        unknown=tuple(int((side == unk).sum()) for side in tokens),
        blocks=blocks,
    )


def rows(indices: np.ndarray, lengths: np.ndarray, kept: np.ndarray, eos: int) -> np.ndarray:
    """The first `kept` (N,) of the `lengths` (N,) indices of each line, then </s>; nothing where `kept` is 0."""
    if (kept != lengths).any():
        place = np.arange(len(indices)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        indices = indices[place < np.repeat(kept, lengths)]
    return np.insert(indices, np.cumsum(kept)[kept > 0], eos)
