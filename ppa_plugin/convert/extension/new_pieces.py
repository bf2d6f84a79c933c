"""Sub-words of a text that a SentencePiece model lacks: which ones, with which scores, and the model that has them."""

import io
import math
import os
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto, NormalizerSpec

from ppa_plugin.commandline import UserError
from ppa_plugin.data import vocabulary
from ppa_plugin.files import check_file, read_bytes, read_lines, without_left_overs

# What the piece has to score above the old pieces that it replaces: more than the rounding of 32-bit sums.
_MARGIN = 0.1
# Pieces that SentencePiece learns for each one that is asked for: some are in the vocabulary already. The first number
# that gives enough new ones is taken; with more than that tokens per word fell no further on text of ten languages.
_CANDIDATES = (2, 4, 8, 16)
# How a text is cut into candidates; the rest of the trainer's settings are its defaults.
_SHARED_SETTINGS = ("max_sentencepiece_length", "split_by_unicode_script", "split_by_whitespace", "split_by_number")
_SHARED_SETTINGS += ("split_digits", "treat_whitespace_as_suffix", "allow_whitespace_only_pieces")


class Pieces:
    """A SentencePiece model as a list of pieces and log-probabilities, and as a segmenter of pieces.

    Args:
        path: a unigram model laid out as XLM-R's.

    Raises:
        UserError: where the file is not such a model.
    """

    def __init__(self, path: str | Path):
        if vocabulary.is_tokenizer_json(path):
            raise UserError(f"{path} is no SentencePiece model, whose vocabulary alone can be extended")
        self.processor = vocabulary.load_sentencepiece(path)  # says what is wrong with a file
        self.proto = ModelProto.FromString(read_bytes(path))
        self.proto.DiscardUnknownFields()  # samples for a self-test, which more pieces would make fail
        self.scores = {piece.piece: piece.score for piece in self.proto.pieces if piece.type == piece.NORMAL}
        self.lowest = min(self.scores.values())
        self.every = {piece.piece for piece in self.proto.pieces} | {*vocabulary.SPECIALS, vocabulary.MASK}
        bare = ModelProto()
        bare.CopyFrom(self.proto)
        bare.normalizer_spec.CopyFrom(
            NormalizerSpec(name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False)
        )
        self._bare = sentencepiece.SentencePieceProcessor(model_proto=bare.SerializeToString())
        self._normalizer = sentencepiece.SentencePieceNormalizer(
            model_proto=self.proto.SerializeToString(), add_dummy_prefix=False, escape_whitespaces=False
        )

    def normalize(self, text: str) -> str:
        """The text as the model reads it, white space as it is."""
        return self._normalizer.normalize(text)

    def segment(self, piece: str) -> list[int]:
        """SentencePiece ids of the pieces that `piece` falls into; 0 stands for what the model does not know."""
        return self._bare.encode(piece)

    def log_probability(self, ids: list[int]) -> float:
        """The sum of the scores that SentencePiece gives a segmentation."""
        unknown = self.lowest - 10  # SentencePiece's penalty
        return sum(self.proto.pieces[i].score if i else unknown for i in ids)

    def extended(self, scores: dict[str, float]) -> ModelProto:
        """The model with more pieces, at its end and in this order, so that no old piece's id changes."""
        model = ModelProto()
        model.CopyFrom(self.proto)
        for piece, score in scores.items():
            model.pieces.add(piece=piece, score=score)
        model.trainer_spec.vocab_size = len(model.pieces)
        return model


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """The text files that `paths` name: files as they are; of a directory its *.latn files, else its *.txt files.

    A note names those of languages that the group is without by now, which are passed over. Raises `UserError` where a
    path does not exist or a directory holds neither.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = without_left_overs(sorted(path.glob("*.latn")) or sorted(path.glob("*.txt")))
            if not inside:
                raise UserError(f"--text {path} holds no *.latn and no *.txt file; pass text/ or pairs/, or files")
            found += inside
        elif not os.path.lexists(path):
            raise UserError(f"--text {path} does not exist")
        else:
            check_file(path, "--text")
            found.append(path)
    return found


def sample_lines(paths: Iterable[Path], most: int) -> list[str]:
    """At most `most` of the lines that are not empty, each with the same chance, always the same ones."""
    generator = random.Random(1)
    chosen: list[str] = []
    lines = (line for path in paths for line in read_lines(path) if line and not line.isspace())
    for number, line in enumerate(lines, 1):
        if len(chosen) < most:
            chosen.append(line)
        elif (place := generator.randrange(number)) < most:
            chosen[place] = line
    return chosen


def choose_pieces(base: Pieces, lines: list[str], count: int) -> dict[str, float]:
    """The `count` sub-words that save most tokens of the lines: {piece: score on the scale of `base`}, highest first.

    A unigram model is trained on the lines. Of its pieces that `base` lacks, those are taken that save most tokens: how
    often a piece is expected times how many more pieces `base` makes of it. An unknown character counts twice there.

    The new pieces' log-probabilities are of the lines, those of `base` of whatever it was trained on. Their scale is
    made one by a constant, that by which the pieces in both models differ on average, weighted by how probable they are
    in the lines. Where that leaves a piece below what `base` gives the pieces that it replaces, so that it would never
    be used, it is lifted just above. The probability of the rarest piece of `base` is added to each, so that none falls
    below it: SentencePiece's penalty for unknown characters depends on the lowest score, and stays.

    Raises:
        UserError: where the lines hold fewer new sub-words.
    """
    text = [base.normalize(line) for line in lines]
    for candidates in _CANDIDATES:
        trained = _train(base, text, candidates * count)
        new = [piece for piece in trained if piece not in base.every and vocabulary.is_entry(piece)]
        old = {piece: base.segment(piece) for piece in new}
        if len(old) >= count or len(trained) < candidates * count:
            break
    if len(old) < count:
        raise UserError(
            f"--pieces {count}: the text has {len(old)} sub-words that are not in the vocabulary yet; "
            "ask for fewer or give more text"
        )
    saved = {piece: math.exp(trained[piece]) * (len(ids) + ids.count(0) - 1) for piece, ids in old.items()}
    best = sorted(old, key=lambda piece: (-saved[piece], piece))[:count]
    offset = _offset(base.scores, trained)
    scores = {}
    for piece in best:
        score = max(trained[piece] + offset, base.log_probability(old[piece]) + _MARGIN)
        scores[piece] = float(np.logaddexp(score, base.lowest))
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def tokens_per_word(sentencepiece_path: str | Path, lines: list[str]) -> float:
    """The pieces that a model makes of the lines, for each of their words, which white space separates."""
    processor = vocabulary.load_sentencepiece(sentencepiece_path)
    return sum(map(len, processor.encode(lines))) / sum(len(line.split()) for line in lines)


def _train(base: Pieces, text: list[str], size: int) -> dict[str, float]:
    """A unigram model of normalized text, of `size` pieces and its characters or of what the text has.

    The way that text is cut is that of `base`. Returns {piece: log-probability}.
    """
    written = io.BytesIO()
    settings = {name: getattr(base.proto.trainer_spec, name) for name in _SHARED_SETTINGS}
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text),
            model_writer=written,
            model_type="unigram",
            vocab_size=size + len(set().union(*text)) + 100,
            hard_vocab_limit=False,  # a text with fewer sub-words gives what it has
            normalization_rule_name="identity",  # done above, as `base` does it
            max_sentence_length=2**30,  # bytes; longer lines would be left out
            num_threads=4,  # the sums, and so the last digits of the scores, depend on it
            minloglevel=2,
            **settings,
        )
    except RuntimeError as error:
        raise UserError(f"SentencePiece could not be trained on the text: {error}") from None
    model = ModelProto.FromString(written.getvalue())
    return {piece.piece: piece.score for piece in model.pieces if piece.type == piece.NORMAL}


def _offset(base: dict[str, float], trained: dict[str, float]) -> float:
    """base - trained over the pieces that both have, weighted by their probability in the text."""
    weights = {piece: math.exp(score) for piece, score in trained.items() if piece in base}
    total = sum(weights.values())
    return sum(w * (base[piece] - trained[piece]) for piece, w in weights.items()) / total if total else 0.0
