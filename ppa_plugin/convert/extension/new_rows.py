"""The first values of new pieces in embedding and head: means over the old pieces that they merge or romanize."""

import logging
from collections.abc import Iterable

import torch

from ppa_plugin import commandline
from ppa_plugin.convert.extension.new_pieces import Pieces
from ppa_plugin.data import vocabulary
from ppa_plugin.model import names

logger = logging.getLogger(__name__)
_WORD = "▁"  # SentencePiece's mark of a word's beginning


def merged(base: Pieces, new: Iterable[str]) -> dict[str, list[int]]:
    """{new piece: rows of the old pieces that it merges}, as `base` segments it.

    Unknown characters are left out, unless there is nothing else: then the row is that of `<unk>`.
    """
    found = {}
    for piece in new:
        known = [i for i in base.segment(piece) if i]
        found[piece] = vocabulary.to_indices(known or [0]).tolist()
    return found


def romanizing(base: Pieces, new: Iterable[str]) -> dict[str, list[int]]:
    """{new piece: rows of the old pieces whose romanization by uroman it is}; pieces that romanize none are left out.

    A piece keeps its mark of a word's beginning: `▁город` is `▁gorod`, `город` is `gorod`.
    """
    import uroman

    romanizer = uroman.Uroman(cache_size=65536)
    wanted = set(new)
    found: dict[str, list[int]] = {}
    old = enumerate(vocabulary.pieces(base.processor), len(vocabulary.SPECIALS))
    # uroman leaves ASCII as it is, and a new piece is no old one
    others = [(row, piece) for row, piece in old if not piece.lstrip(_WORD).isascii()]
    for row, piece in commandline.progress(others, "romanizing the vocabulary", len(others), "piece"):
        body = piece.lstrip(_WORD)
        try:
            romanization = romanizer.romanize_string(body)
        except Exception as error:  # uroman has bugs on rare characters; such a piece stands for nothing new
            logger.debug("uroman fails on piece %r: %r", piece, error)
            continue
        latin = piece[: len(piece) - len(body)] + base.normalize(romanization)
        if latin in wanted:
            found.setdefault(latin, []).append(row)
    return found


def insert_rows(
    state: dict[str, torch.Tensor], parts: list[list[int]], padding_rows: int = 0
) -> dict[str, torch.Tensor]:
    """A state dict (fairseq's names) with a row of embedding and bias for each new piece; `<mask>` stays the last id.

    Pieces are appended to the SentencePiece model and the dictionary's index is SentencePiece's id + 1, so the new rows
    lie between that of the last old piece and that of `<mask>`, which moves. Padding after it is used up by them.

    A new row is the mean of the rows in `parts`, and so is its bias. The logit of a new piece is then the mean of its
    parts' logits whatever the hidden state: it starts on their scale and never above the largest of them. (The log of
    their summed probabilities, the other choice, would let a piece of many parts outdo each of them.)

    Args:
        state: the embedding matrix (V, C), with a head under both of its names, and the head's bias (V,).
        parts: of each new piece the rows of `state` that it is made of.
        padding_rows: rows of `state` after that of `<mask>`.

    Returns:
        A new dict; the other parameters are the same tensors.
    """
    widened = {}
    for name in (names.EMBED_TOKENS, names.OUTPUT_BIAS):
        if name not in state:
            continue
        old, mask = state[name], len(state[name]) - padding_rows - 1
        new = torch.stack([old[rows].double().mean(0) for rows in parts]).to(old.dtype)
        widened[name] = torch.cat([old[:mask], new, old[mask : len(old) - min(len(parts), padding_rows)]])
    if names.TIED_OUTPUT in state:
        widened[names.TIED_OUTPUT] = widened[names.EMBED_TOKENS]
    return {**state, **widened}
