"""A report's tables as LaTeX: booktabs tables, each as a fragment to paste, and a document of all of them."""

from itertools import accumulate, pairwise

from ppa_plugin.evaluation.report.grid import Cell, Grid, Row, Section, packed, shown_labels

# A page holds as many lines of \scriptsize below a caption; longer tables go on in another one.
LINES = 66
_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{lmodern}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage[a4paper,margin=2cm]{geometry}
\begin{document}
"""
_HEADER = "% needs \\usepackage{booktabs,graphicx,textcomp}\n"
_SPECIAL = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    **dict.fromkeys("\n\r\t", " "),
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # \textquotedbl is none of OT1's, and a plain one starts a command of babel's in German
    "–": "--",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\to$",
    "×": r"$\times$",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "’": "'",
}


def escape(text: str) -> str:
    """Text for pdflatex. A character that its fonts lack is written as U+4E2D, so that the document compiles."""
    return "".join(_SPECIAL.get(c) or (c if _printable(c) else f"\\texttt{{U+{ord(c):04X}}}") for c in text)


def document(sections: list[Section]) -> str:
    """All tables of all sections, ready for pdflatex."""
    parts = [_PREAMBLE]
    for section in sections:
        grids = [block for block in section.blocks if isinstance(block, Grid) and not block.prose]
        if grids:
            parts.append(f"\\section*{{{escape(section.title)}}}\n")
            # a page of its own each: LaTeX holds back no more than a few dozen floats
            parts += [f"{_tables(grid)}\\clearpage\n" for grid in grids]
    return "\n".join([*parts, "\\end{document}\n"])


def fragment(grid: Grid) -> str:
    """One table for `\\input`."""
    return _HEADER + _tables(grid)


def _tables(grid: Grid) -> str:
    """A table a page, cut at rules where there is one."""
    cuts = [0, *(i for i, row in enumerate(grid.rows) if row.rule and i), len(grid.rows)]
    chunks = packed((grid.rows[start:end] for start, end in pairwise(cuts)), LINES)
    return "\n".join(_table(grid, chunk, number, len(chunks)) for number, chunk in enumerate(chunks))


def _table(grid: Grid, rows: list[Row], number: int, of: int) -> str:
    caption = escape(grid.title) + (f" ({number + 1} of {of})" if of > 1 else "")
    label = f"\\label{{tab:{grid.name}}}" if number == 0 else ""
    stub = len(grid.stub)
    lines = [r"\begin{table}[htbp]", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}"]
    lines += [f"\\caption{{{caption}}}{label}"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [f"\\begin{{tabular}}{{{'l' * stub}{'r' * len(grid.columns)}}}", r"\toprule", *_spans(grid)]
    lines += [_line([escape(head) for head in (*grid.stub, *grid.columns)]), r"\midrule"]
    for place, (labels, row) in enumerate(zip(shown_labels(rows), rows, strict=True)):
        if row.rule and place:
            lines.append(r"\midrule" if row.summary else r"\addlinespace[2pt]")
        lines.append(_line([*map(escape, labels), *map(_cell, row.cells)]))
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if grid.notes and number == of - 1:
        notes = " ".join(map(escape, grid.notes))
        lines.append(f"\\par\\smallskip\\begin{{minipage}}{{\\linewidth}}\\scriptsize {notes}\\end{{minipage}}")
    return "\n".join([*lines, r"\end{table}", ""])


def _spans(grid: Grid) -> list[str]:
    if not grid.spans:
        return []
    heads = [""] * len(grid.stub) + [f"\\multicolumn{{{n}}}{{c}}{{{escape(label)}}}" for label, n in grid.spans]
    ends = accumulate((number for _, number in grid.spans), initial=len(grid.stub))
    rules = [f"\\cmidrule(lr){{{above + 1}-{end}}}" for above, end in pairwise(ends)]
    return [_line(heads), "".join(rules)]


def _line(cells: list[str]) -> str:
    # a line that opens with a bracket would be read as an argument of the \\ above it
    return " & ".join(f"{{}}{cell}" if cell.startswith(("[", "*")) else cell for cell in cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    text = f"\\underline{{{text}}}" if cell.underline else text
    text = f"\\textbf{{{text}}}" if cell.bold else text
    spread = f"$_{{\\pm {cell.spread}}}$" if cell.spread else ""
    mark = "".join(f"\\textsuperscript{{{_SPECIAL[sign]}}}" for sign in cell.mark)
    return text + spread + mark


def _printable(character: str) -> bool:
    """Whether fonts of OT1 and of T1 have it: ASCII and the letters of Latin-1, but for eth and thorn."""
    return " " <= character <= "~" or ("À" <= character <= "ÿ" and character not in "×÷ÐðÞþ")
