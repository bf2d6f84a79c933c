"""A report as Markdown."""

from ppa_plugin.evaluation.report.grid import Cell, Grid, Picture, Section, shown_labels


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
        return f"![{escape(block.title)}]({block.name}.svg)\n\n{escape(block.title)}. {escape(block.note)}"
    return escape(block)


def grid(table: Grid) -> str:
    """One table. The label of a span stands before that of each of its columns: Markdown has one line of headings."""
    spans = [label for label, number in table.spans for _ in range(number)] or [""] * len(table.columns)
    heads = [f"{span}: {column}" if span else column for span, column in zip(spans, table.columns, strict=True)]
    lines = [[*table.stub, *heads]]
    body = [
        [*map(escape, labels), *map(cell, row.cells)]
        for labels, row in zip(shown_labels(table.rows), table.rows, strict=True)
    ]
    lines = [[escape(head) for head in lines[0]], ["---"] * len(table.stub) + ["---:"] * len(table.columns), *body]
    text = [f"### {escape(table.title)}", "", *(f"| {' | '.join(line)} |" for line in lines)]
    return "\n".join([*text, *(f"\n{escape(note)}" for note in table.notes)])


def cell(value: Cell) -> str:
    """`**<u>62.9</u>** ±0.4†`."""
    text = f"<u>{escape(value.text)}</u>" if value.underline else escape(value.text)
    text = f"**{text}**" if value.bold else text
    return text + (f" ±{value.spread}" if value.spread else "") + value.mark


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no new cell, no tag."""
    for character in "\\`*[]|#":
        text = text.replace(character, f"\\{character}")
    # an underscore inside a word, as in tur_Latn, is text
    text = " ".join(_outer_underscores(word) for word in text.split(" "))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ").replace("\r", " ")


def _outer_underscores(word: str) -> str:
    inner = word.strip("_")
    if inner == word or not inner:
        return word.replace("_", "\\_")
    start = len(word) - len(word.lstrip("_"))
    return "\\_" * start + inner + "\\_" * (len(word) - start - len(inner))
