"""Evaluation text as people write it who have no keyboard of its script: romanized, as training's Latin side is."""

import sys
from collections.abc import Sequence

from ppa_plugin.evaluation.tasks import INPUTS
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.romanizers import DEFAULT
from ppa_plugin.romanization.text_file import romanize_lines

ORIG, LATN = INPUTS


def remark(side: str) -> dict[str, str]:
    """What the `config` of a result says of the text that the model read; nothing where it was as published."""
    return {"input": side} if side == LATN else {}


def romanized(texts: Sequence[str], where: str) -> list[str]:
    """Each text's romanization; one that has none stays as it is. A note names `where` and how many those are."""
    rows = list(romanize_lines(texts, Romanization(DEFAULT), workers=1))
    without = sum(bool(text.strip()) and not latn.strip() for text, latn, _ in rows)
    if without:
        sys.stderr.write(f"note: {where}: {without} of {len(rows)} have no romanization and are read as they are\n")
    return [latn if latn.strip() else text for text, latn, _ in rows]
