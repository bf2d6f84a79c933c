"""A report as one page: no script, no font, no image from elsewhere; light or dark as the reader's device is."""

import re
from hashlib import sha256
from html import escape
from itertools import accumulate, groupby

from ppa_plugin.evaluation.report.grid import Cell, Grid, Picture, Row, Section, repeated_labels, slug
from ppa_plugin.evaluation.report.pages.html_style import STYLE
from ppa_plugin.evaluation.report.plots.drawing import INK

_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
"""


def page(title: str, summary: str, sections: list[Section]) -> str:
    """The whole page: the first section, the contents beside it, the others. Text is escaped, pictures inline SVG."""
    parts = [_HEAD.format(title=escape(title), style=STYLE), f"<header>\n<h1>{escape(title)}</h1>"]
    parts += [f'<p class="lead">{escape(summary)}</p>\n</header>\n<main>']
    shown = [_section(section, number) for number, section in enumerate(sections, 1)]
    parts += ['<div class="opening">', *shown[:1], _contents(sections), "</div>", *shown[1:]]
    return "\n".join([*parts, "</main>\n</body>\n</html>\n"])


def _contents(sections: list[Section]) -> str:
    lines = ['<nav aria-label="Contents">\n<h2>Contents</h2>\n<ol>']
    for number, section in enumerate(sections, 1):
        titled = [block for block in section.blocks if not isinstance(block, str)]
        inner = "".join(
            f'<li><a href="#{_anchor(block)}">{escape(_short(block, section))}</a></li>' for block in titled
        )
        inner = f"<ol>{inner}</ol>" if inner and not section.folded else ""
        lines.append(f'<li><a href="#{_section_anchor(section, number)}">{escape(section.title)}</a>{inner}</li>')
    return "\n".join([*lines, "</ol>\n</nav>"])


def _short(block: Grid | Picture, section: Section) -> str:
    """A title without the name of its section."""
    return block.title.removeprefix(f"{section.title}: ")


def _section_anchor(section: Section, number: int) -> str:
    return f"section-{number}-{slug(section.title)}"


def _anchor(block: Grid | Picture) -> str:
    return f"{'table' if isinstance(block, Grid) else 'plot'}-{slug(block.name)}"


def _section(section: Section, number: int) -> str:
    runs = []
    for plots, run in groupby(section.blocks, lambda block: isinstance(block, Picture)):
        shown = "\n".join(_block(block, section) for block in run)
        runs.append(f'<div class="plots">\n{shown}\n</div>' if plots else shown)
    blocks = "\n".join(runs)
    heading = f"<h2>{escape(section.title)}</h2>"
    if section.folded:
        number_of = f"{len(section.blocks)} table{'s' if len(section.blocks) > 1 else ''}"
        blocks = f"<details>\n<summary>{number_of}</summary>\n{blocks}\n</details>"
    return f'<section id="{_section_anchor(section, number)}">\n{heading}\n{blocks}\n</section>'


def _block(block: Grid | Picture | str, section: Section) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    is_table = isinstance(block, Grid)
    title = escape(_short(block, section))
    notes = "".join(f"<p>{escape(note)}</p>" for note in (block.notes if is_table else (block.note,)) if note)
    return "\n".join(
        [
            f'<figure class="{"table" if is_table else "plot"}" id="{_anchor(block)}">',
            f"<figcaption>{title}</figcaption>",
            f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">',
            f"{_table(block) if is_table else inline_svg(block)}</div>",
            f'<div class="notes">{notes}</div>' if notes else "",
            "</figure>",
        ]
    )


def _table(grid: Grid) -> str:
    lines = [f"<table{' class=prose' if grid.prose else ''}>\n<thead>"]
    if grid.spans:
        spans = "".join(
            f'<th class="span" colspan="{n}" scope="colgroup">{escape(label)}</th>' for label, n in grid.spans
        )
        lines.append(f'<tr><td colspan="{len(grid.stub)}" class="stub"></td>{spans}</tr>')
    starts = {0, *accumulate(n for _, n in grid.spans)} if grid.spans else set()
    heads = [f'<th class="{_stub_class(i)}" scope="col">{_label(head)}</th>' for i, head in enumerate(grid.stub)]
    heads += [f'<th scope="col"{_start(i, starts)}>{_label(head)}</th>' for i, head in enumerate(grid.columns)]
    lines.append(f"<tr>{''.join(heads)}</tr>\n</thead>\n<tbody>")
    repeated = repeated_labels(grid.rows)
    lines += [_row(grid.rows, number, repeated, starts) for number in range(len(grid.rows))]
    return "\n".join([*lines, "</tbody>\n</table>"])


def _row(rows: tuple[Row, ...], number: int, repeated: list[int], starts: set[int]) -> str:
    row, heads = rows[number], []
    for place, label in list(enumerate(row.labels))[repeated[number] :]:
        end = next((end for end in range(number + 1, len(rows)) if repeated[end] <= place), len(rows))
        over = f' rowspan="{end - number}"' if end > number + 1 else ""
        scope = "row" if place == len(row.labels) - 1 else "rowgroup"
        heads.append(f'<th class="{_stub_class(place)}" scope="{scope}"{over}>{_label(label)}</th>')
    cells = "".join(f"<td{_start(i, starts)}>{_cell(cell)}</td>" for i, cell in enumerate(row.cells))
    classes = " ".join(name for name, asked in (("rule", row.rule), ("summary", row.summary)) if asked)
    opening = f'<tr class="{classes}">' if classes else "<tr>"
    return f"{opening}{''.join(heads)}{cells}</tr>"


def _label(text: str) -> str:
    """A label; a path goes on in further lines where a table has no room for it."""
    return f'<span class="path">{escape(text).replace("/", "/<wbr>")}</span>' if "/" in text else escape(text)


def _start(column: int, starts: set[int]) -> str:
    return ' class="start"' if column in starts else ""


def _stub_class(place: int) -> str:
    return "stub first" if place == 0 else "stub"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if re.fullmatch(r"[0-9a-f]{40,}", cell.text):
        text = f"<code>{text}</code>"
    text = f"<u>{text}</u>" if cell.underline else text
    text = f"<b>{text}</b>" if cell.bold else text
    mark = f"<sup>{escape(cell.mark)}</sup>" if cell.mark else ""
    spread = f'<span class="spread">±{escape(cell.spread)}</span>' if cell.spread else ""
    return text + mark + spread


def inline_svg(picture: Picture) -> str:
    """The SVG as a part of the page: identifiers of its own, the page's colour for its ink, nothing to look up."""
    text = picture.files["svg"].decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)[ >].*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", _lean, text)
    prefix = f"f{sha256(picture.name.encode()).hexdigest()[:6]}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}").replace('xlink:href="#', f'href="#{prefix}')
    text = re.sub(r"font(-family)?: (?:[^;\"]*? )?'DejaVu Sans'[^;\"]*", _page_font, text)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace(INK, "currentColor")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text).group(1)) * 4 / 3
    # as large as it was drawn, or its letters could not be read: the region around it scrolls, paper shrinks it
    size = f'style="width: {width:.0f}px" role="img"'
    title = escape(picture.alt or picture.title)
    opening = r'<svg[^>]*?(viewBox="[^"]*")[^>]*>'
    return re.sub(opening, lambda tag: f"<svg {tag[1]} {size}><title>{title}</title>", text, count=1)


def _lean(tag: re.Match) -> str:
    """A tag of Matplotlib's without what no reader sees: digits, turns by nothing, names of groups, white space."""
    text = re.sub(r"(\.\d\d)\d+", r"\1", tag.group(0))
    text = re.sub(r' transform="rotate\(-?0 [^"]*"|(?<=<g) id="[^"]*"', "", text)
    return " ".join(text.split())


def _page_font(match: re.Match) -> str:
    """Matplotlib's font declaration with the page's font: `font: 9px 'DejaVu Sans', ...` or `font-family: ...`."""
    if match.group(1):
        return "font-family: inherit"
    return re.sub(r"'DejaVu Sans'.*", "system-ui, sans-serif", match.group(0), flags=re.DOTALL)
