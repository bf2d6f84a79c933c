"""Evaluation text as people write it who have no keyboard of its script: romanized, as training's Latin side is.

In all of evaluation `romanizers` are what such text is romanized with, and None where it is read as it was published.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.tasks import INPUTS
from ppa_plugin.romanization.by_language import Romanizers, parse
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.text_file import romanize_lines

ORIG, LATN = INPUTS


def of_flags(side: str, given: str | None) -> Romanizers | None:
    """What --input and --romanizer ask for. Raises `UserError` as `parse`, and where the second is of no effect."""
    if side == LATN:
        return parse(given)
    if given is not None:
        raise UserError("--romanizer says what romanizes the text, which is read as it is; pass --input latn too")
    return None


def of_suite(side: str, given: str | None, where: str, folder: Path) -> Romanizers | None:
    """What the keys `input` and `romanizer` of a task ask for; a path is relative to `folder`. Raises as `of_flags`."""
    if side not in INPUTS:
        raise UserError(f"{where}: input is {side!r}, expected {' or '.join(INPUTS)}")
    if side == LATN:
        return parse(given and os.path.expanduser(given), f"{where}: romanizer", folder)
    if given is not None:
        raise UserError(f"{where}: romanizer says what romanizes the text, which is read as it is; add input: latn")
    return None


def remark(romanizers: Romanizers | None) -> dict[str, str]:
    """What the `config` of a result says of the text that the model read; nothing where it was as published."""
    return {} if romanizers is None else {"input": LATN} | romanizers.remark()


def romanized(texts: Sequence[str], where: str, settings: Romanization) -> list[str]:
    """Each text's romanization; one that has none stays as it is. A note names `where` and how many those are."""
    rows = list(romanize_lines(texts, settings, workers=1))
    without = sum(bool(text.strip()) and not latn.strip() for text, latn, _ in rows)
    if without:
        sys.stderr.write(f"note: {where}: {without} of {len(rows)} have no romanization and are read as they are\n")
    return [latn if latn.strip() else text for text, latn, _ in rows]
