"""The first values of new pieces in embedding and head: means over old pieces, such as those that they merge."""

from collections.abc import Iterable

import torch

from ppa_plugin.convert.extension.new_pieces import Pieces
from ppa_plugin.data import vocabulary
from ppa_plugin.model import names


def merged(base: Pieces, new: Iterable[str]) -> dict[str, list[int]]:
    """{new piece: rows of the old pieces that it merges}, as `base` segments it.

    Unknown characters are left out, unless there is nothing else: then the row is that of `<unk>`.
    """
    found = {}
    for piece in new:
        known = [i for i in base.segment(piece) if i]
        found[piece] = vocabulary.to_indices(known or [0]).tolist()
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
