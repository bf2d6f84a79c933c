"""The vocabulary's own pieces romanized: which of them a new piece stands for, and TransMI's new pieces.

TransMI (arXiv 2405.09913) romanizes the vocabulary and merges what it lacks into the model, without any training. What
is a piece already stays as it is, row and score, whatever else is romanized to it. Several pieces may have the same
romanization; of the paper's three ways to merge them two are here: Average-Merge (`mean`) and Max-Merge (`max`).
"""

from collections.abc import Container
from statistics import fmean

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.convert.extension.new_pieces import Pieces
from ppa_plugin.data import vocabulary
from ppa_plugin.parallel import default_workers
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.romanizers import DEFAULT
from ppa_plugin.romanization.text_file import romanize_lines

_WORD = "▁"  # SentencePiece's mark of a word's beginning


def romanized_pieces(base: Pieces) -> dict[str, list[int]]:
    """{romanization: SentencePiece ids of the pieces that have it}, of those that the vocabulary lacks.

    The romanization is uroman's, as `ppa-preprocess` makes it by default; then it is normalized as the model normalizes
    text. A piece keeps its mark of a word's beginning: `▁город` is `▁gorod`, `город` is `gorod`. Pieces that the
    romanizer fails on or leaves nothing of stand for nothing, and so do those whose romanization has a space within,
    which no word contains.
    """
    # uroman leaves ASCII as it is; a piece that holds white space makes no line
    others = [
        (number, piece.piece)
        for number, piece in enumerate(base.proto.pieces)
        if piece.type == piece.NORMAL and vocabulary.is_entry(piece.piece) and not _body(piece.piece).isascii()
    ]
    rows = romanize_lines([_body(piece) for _, piece in others], Romanization(DEFAULT), default_workers())
    found: dict[str, list[int]] = {}
    romanized = progress(rows, "romanizing the vocabulary", len(others), "piece")
    for (number, piece), (body, latn, _) in zip(others, romanized, strict=True):
        latin = base.normalize(latn)
        new = piece.removesuffix(body) + latin
        if vocabulary.is_entry(latin) and _WORD not in latin and new not in base.every:
            found.setdefault(new, []).append(number)
    return found


def romanizing(base: Pieces, new: Container[str]) -> dict[str, list[int]]:
    """{new piece: rows of the old pieces whose romanization it is}; pieces that romanize none are left out."""
    found = romanized_pieces(base)
    return {piece: vocabulary.to_indices(ids).tolist() for piece, ids in found.items() if piece in new}


def transmi(base: Pieces, found: dict[str, list[int]], merge: str) -> tuple[dict[str, float], dict[str, list[int]]]:
    """Scores of new pieces, {piece: score}, highest first, and {piece: rows that its own is the mean of}.

    Args:
        base: the vocabulary.
        found: what `romanized_pieces` finds in it.
        merge: `mean`, of the scores and of the rows, or `max`: both are those of the piece that scores highest, the
            first one where several do.

    Raises:
        UserError: where there is no new piece.
    """
    if not found:
        raise UserError(f"--init {merge}: the romanization of every piece is in the vocabulary already")
    scores, chosen = {}, {}
    for piece, ids in found.items():
        of_each = [base.proto.pieces[i].score for i in ids]
        highest = max(of_each)
        scores[piece] = highest if merge == "max" else fmean(of_each)
        chosen[piece] = [ids[of_each.index(highest)]] if merge == "max" else ids
    parts = {piece: vocabulary.to_indices(ids).tolist() for piece, ids in chosen.items()}
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))), parts


def _body(piece: str) -> str:
    return piece.lstrip(_WORD)
