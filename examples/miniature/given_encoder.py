"""An encoder that is given in place of one from scratch: with a head, and cut to what two cores can train."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from sentencepiece import SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ppa_plugin.convert.to_fairseq import Encoder, read_hugging_face, with_new_head, write_fairseq
from ppa_plugin.data import vocabulary
from ppa_plugin.files import directory_beside, read_bytes
from ppa_plugin.model import names

_BLOCK = re.compile(r"encoder\.sentence_encoder\.layers\.(\d+)\.")
_LINES_AT_ONCE = 10_000


def prepare(model: str, target: Path, text: Iterable[Path], blocks: int | None) -> tuple[tuple[str, ...], bool]:
    """Write a model as the fairseq directory `target`, unless it is there.

    A model without a masked-LM head gets a new one. With `blocks` it is cut to its first blocks and to the pieces that
    occur in `text`.

    Returns:
        Its sizes as flags of `fairseq-train`, and whether the head has yet to learn from what is below it.
    """
    encoder = read_hugging_face(model)
    if blocks is not None:
        encoder = without_blocks(encoder, blocks)
    new_head = not encoder.has_head or blocks is not None  # which the head that it had has not seen
    if not encoder.has_head:
        encoder = with_new_head(encoder, seed=1)
    if not (target / "model.pt").is_file():
        with directory_beside(target) as fresh:
            if blocks is not None:
                encoder = without_pieces(encoder, pieces_in(encoder.sentencepiece, text), fresh / "cut.model")
            write_fairseq(encoder, fresh)
            (fresh / "cut.model").unlink(missing_ok=True)
    return ("--arch", "glot500_base", *encoder.flags.split()), new_head


def without_blocks(encoder: Encoder, blocks: int) -> Encoder:
    """The encoder's first blocks. What was its top layer is gone, and so is what a head was trained on."""
    kept = {
        name: tensor
        for name, tensor in encoder.state.items()
        if (found := _BLOCK.match(name)) is None or int(found[1]) < blocks
    }
    return replace(encoder, state=kept, config={**encoder.config, "num_hidden_layers": blocks}, pooler={})


def without_pieces(encoder: Encoder, used: set[int], target: Path) -> Encoder:
    """The encoder with these SentencePiece ids alone, whose model is written to `target`, and with their rows.

    A text whose pieces are all kept falls into the same ones: what scored below them still does, where it is left.
    """
    model = ModelProto.FromString(read_bytes(encoder.sentencepiece))
    model.DiscardUnknownFields()  # samples for a self-test
    kept = [i for i, piece in enumerate(model.pieces) if i in used or piece.type != piece.NORMAL]
    pieces = [model.pieces[i] for i in kept]
    del model.pieces[:]
    model.pieces.extend(pieces)
    model.trainer_spec.vocab_size = len(pieces)
    target.write_bytes(model.SerializeToString())
    ordinary = [i for i in kept if i >= len(vocabulary.SPECIALS) - 1]
    rows = torch.tensor([*range(len(vocabulary.SPECIALS)), *(i + 1 for i in ordinary), encoder.vocabulary_size - 1])
    state = {n: t[rows] if n in (names.EMBED_TOKENS, names.OUTPUT_BIAS) else t for n, t in encoder.state.items()}
    if names.TIED_OUTPUT in state:
        state[names.TIED_OUTPUT] = state[names.EMBED_TOKENS]
    config = {**encoder.config, "vocab_size": len(rows)}
    return replace(encoder, state=state, config=config, sentencepiece=target, padding_rows=0)


def pieces_in(model: Path, text: Iterable[Path]) -> set[int]:
    """The SentencePiece ids that occur in files, line by line and in the tab-separated fields of each line."""
    processor = SentencePieceProcessor(model_file=str(model))
    used: set[int] = set()
    for lines in _texts(text):
        used.update(*processor.encode(lines))
    return used


def _texts(paths: Iterable[Path]) -> Iterator[list[str]]:
    waiting: list[str] = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").split("\n"):
            waiting += {line, *line.split("\t")}
            if len(waiting) > _LINES_AT_ONCE:
                yield waiting
                waiting = []
    yield waiting
