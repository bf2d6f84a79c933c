"""A report as Markdown."""

import html
import re

from ppa_plugin.evaluation.report.grid import Cell, Grid, Picture, Row, Section, shown_labels
from ppa_plugin.evaluation.tables import Table, percent


def to_markdown(sections: list[Section]) -> str:
    """Sections under `##`, their tables under `###`; pictures are linked as the files beside the page."""
    lines = []
    for section in sections:
        lines += [f"## {escape(section.title)}", ""]
        for block in section.blocks:
            lines += [_block(block), ""]
    return "\n".join(lines)


def _block(block: Grid | Picture | str) -> str:
    if isinstance(block, Grid):
        return grid(block)
    if isinstance(block, Picture):
        image = f"![{escape(block.alt or block.title)}]({block.name}.svg)"
        return f"{image}\n\n{escape(block.title)}. {escape(block.note)}" if block.note else image
    return escape(block)


def grid(table: Grid) -> str:
    """One table. The label of a span stands before that of each of its columns: Markdown has one line of headings."""
    spans = [label for label, number in table.spans for _ in range(number)] or [""] * len(table.columns)
    heads = [f"{span}: {column}" if span else column for span, column in zip(spans, table.columns, strict=True)]
    lines = [[*map(escape, (*table.stub, *heads))], ["---"] * len(table.stub) + ["---:"] * len(table.columns)]
    for labels, row in zip(shown_labels(table.rows), table.rows, strict=True):
        lines.append([*map(escape, labels), *map(cell, row.cells)])
    text = [f"### {escape(table.title)}", "", *(f"| {' | '.join(line)} |" for line in lines)]
    return "\n".join([*text, *(f"\n{escape(note)}" for note in table.notes)])


def side_by_side(table: Table) -> str:
    """Models as columns, as on the terminal: targets, then means, under a heading."""
    rows = [Row((label,), tuple(Cell(percent(value)) for value in values)) for label, values in table.rows()]
    notes = (table.note,) if table.note else ()
    return grid(Grid("", table.title, ("target",), tuple(table.columns), tuple(rows), notes=notes))


def cell(value: Cell) -> str:
    """`**<u>62.9</u>** ±0.4†`."""
    text = f"<u>{escape(value.text)}</u>" if value.underline else escape(value.text)
    text = f"**{text}**" if value.bold else text
    return text + (f" ±{value.spread}" if value.spread else "") + value.mark


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no new cell, no tag."""
    text = re.sub(r"[\\`*\[\]|#]", r"\\\g<0>", text)
    # an underscore inside a word, as in tur_Latn, is text
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    return html.escape(text, quote=False).replace("\n", " ").replace("\r", " ")
