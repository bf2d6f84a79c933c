"""What a report is made of, before it becomes Markdown, LaTeX or HTML: sections of tables, pictures and text."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

MISSING = "–"
_LONGEST = 120  # characters of a file name: systems take 255 with ending, number and what a temporary file has besides


@dataclass(frozen=True)
class Cell:
    """One cell: plain text (never escaped), its spread over seeds, a mark of significance, emphasis."""

    text: str = MISSING
    spread: str = ""
    mark: str = ""
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True)
class Row:
    """A line of a table; `rule` asks for a line above it, `summary` says that it is no measurement but a mean."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    rule: bool = False
    summary: bool = False


@dataclass(frozen=True)
class Grid:
    """A table. `stub` heads the label columns, `spans` (label, number of columns) stands over `columns`.

    `name` is unique in a report: file name of the LaTeX fragment and anchor of the page. `prose` says that the cells
    are words and checksums, not figures; such tables are not for a paper.
    """

    name: str
    title: str
    stub: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    spans: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    prose: bool = False


@dataclass(frozen=True)
class Picture:
    """A plot under a file name without its ending; `files` holds the bytes by format (png, svg).

    `alt` says what is to be seen to who cannot see it; the title where it is empty.
    """

    name: str
    title: str
    note: str
    files: dict[str, bytes]
    alt: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report; `folded` parts, of tables alone, are closed on the page until someone opens them."""

    title: str
    blocks: tuple[Grid | Picture | str, ...]
    folded: bool = False


def repeated_labels(rows: Sequence[Row]) -> list[int]:
    """How many labels of each row, but the last, repeat the row above: `tur_Latn` stands once for all its models."""
    repeated = [0] * len(rows)
    for number, (above, row) in enumerate(pairwise(rows), 1):
        alike = (label == over for label, over in zip(row.labels[:-1], above.labels, strict=False))
        repeated[number] = 0 if row.rule else sum(takewhile(bool, alike))
    return repeated


def shown_labels(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The labels of each row, empty where they repeat the row above."""
    return [("",) * same + row.labels[same:] for row, same in zip(rows, repeated_labels(rows), strict=True)]


def packed(runs: Iterable[Sequence], most: int) -> list[list]:
    """The items of runs in as few parts of at most so many as hold them, a run in one part where it fits."""
    parts: list[list] = [[]]
    for run in runs:
        if parts[-1] and len(parts[-1]) + len(run) > most:
            parts.append([])
        parts[-1] += run
        while len(parts[-1]) > most:
            parts[-1:] = [parts[-1][:most], parts[-1][most:]]
    return parts


def with_unique_names(sections: list[Section]) -> list[Section]:
    """The sections, their tables and pictures renamed where two share a name, as those of `a b` and `a+b` would."""
    used: set[tuple[type, str]] = set()
    return [replace(section, blocks=tuple(_unique(block, used) for block in section.blocks)) for section in sections]


def _unique(block: Grid | Picture | str, used: set[tuple[type, str]]) -> Grid | Picture | str:
    if isinstance(block, str):
        return block
    name, number = block.name, 2
    while (type(block), name.lower()) in used:  # some file systems take a name in capitals for the same
        name, number = f"{block.name}_{number}", number + 1
    used.add((type(block), name.lower()))
    return replace(block, name=name)


def slug(*parts: str) -> str:
    """Letters, digits, dots, dashes and underscores of some names, for a file name that no name can lead elsewhere."""
    text = "_".join(part for part in parts if part)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text).lstrip(".") or "unnamed"
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
