"""What mkdocs calls while it builds the site: pages that lie elsewhere in the repository, links to files, equations.

The pages are written to be read on the repository's own pages as well: they link to files by relative paths, and an
equation is a block ```math. Here README.md and its like become pages, links to them follow, any other file of the
repository that is linked is copied, and equations become MathML.
"""

import dataclasses
import html
import importlib
import logging
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# pages that lie outside docs/ -> their place in the site
PAGES = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "examples/README.md": "examples/index.md",
}
# a page's links, and what only looks like one, inside code
_TOKEN = re.compile(
    r"^```math\n(?P<equation>(?s:.*?))^```$"
    r"|^```(?s:.*?)^```$|^ {4,}.*$"
    r"|(?P<picture>!?)\[(?P<text>[^\]\[\n]*(?:\n[^\]\[\n]+)?)\]\((?P<target>[^)\s]+)\)"
    r"|`[^`\n]+`",
    re.M,
)


# a line {{ flags MODULE CLASS }}: a table of the flags that a configuration adds to fairseq-train
_FLAGS = re.compile(r"^{{ flags (\S+) (\w+) }}$", re.M)


def pages() -> dict[str, str]:
    """Repository path -> page of the site, for every page that lies outside docs/."""
    examples = {
        f"examples/{path.parent.name}/README.md": f"examples/{path.parent.name}.md"
        for path in sorted(ROOT.glob("examples/*/README.md"))
    }
    return PAGES | examples


def on_config(config):
    """List the examples in the order in which their own page names them, then those that it does not name."""
    text = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    named = [f"examples/{name}/README.md" for name in re.findall(r"\((\w+)/README\.md\)", text)]
    outside = pages()
    ordered = dict.fromkeys(["examples/README.md", *named, *outside])
    section = next(entry for entry in config.nav if "Examples" in entry)
    section["Examples"] = [outside[path] for path in ordered if path in outside and path.startswith("examples/")]
    return config


def on_files(files, config):
    """Add the pages that lie elsewhere, and every other file that a page links to: as text, pictures as they are."""
    from mkdocs.structure.files import File  # only `make docs` has mkdocs; a test reads this file without it

    outside = pages()
    for path, place in outside.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text(encoding="utf-8")))
    sources = {f.src_uri: f"docs/{f.src_uri}" for f in files if f.src_uri.endswith(".md")}
    sources |= {place: path for path, place in outside.items()}
    linked = set().union(*(_targets(path) for path in sources.values())) - outside.keys()
    for path in sorted(linked):
        if not path.startswith("docs/") and (ROOT / path).is_file():
            files.append(File.generated(config, _as_text(path), content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrite links from the repository's places to the site's, and equations to MathML."""
    from latex2mathml.converter import convert

    outside = pages()
    origin = {place: path for path, place in outside.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    here = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match) -> str:
        if match["equation"]:
            return f'<div class="equation">{convert(match["equation"].strip(), display="block")}</div>'
        target, anchor = _resolve(origin, match["target"])
        if target is None:
            return match[0]
        inside = target.removeprefix("docs/") if target.startswith("docs/") else None
        place = inside or outside.get(target) or _as_text(target)
        return f"{match['picture']}[{match['text']}]({posixpath.relpath(place, here or '.')}{anchor})"

    return _FLAGS.sub(lambda match: _table_of_flags(*match.groups()), _TOKEN.sub(rewritten, _indented(markdown)))


def _targets(path: str) -> set[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return {target for match in _TOKEN.finditer(text) if (target := _resolve(path, match["target"])[0])}


def _indented(markdown: str) -> str:
    """Give what belongs to a numbered item the four spaces that Python-Markdown wants, one more than CommonMark."""
    lines, inside = [], False
    for line in markdown.split("\n"):
        if re.match(r"\d+\. ", line):
            inside = True
        elif inside and line and not line.startswith("   "):
            inside = False
        lines.append(f" {line}" if inside and line.startswith("   ") else line)
    return "\n".join(lines)


def _table_of_flags(module: str, name: str) -> str:
    """Flag, default and help of every field of a configuration, those that it has of the objective's terms included."""
    rows = ["| flag | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(_configuration(module, name)):
        if "help" not in field.metadata:
            continue  # follows a setting of another part
        required = field.default == "???"
        flag = "data" if required else f"--{field.name.replace('_', '-')}"
        shown = "" if required or field.default is None else f"`{field.default}`"
        rows.append(f"| `{flag}` | {shown} | {html.escape(field.metadata['help'])} |")
    return "\n".join(rows)


def _configuration(module: str, name: str) -> type:
    handlers = logging.root.handlers[:]
    found = getattr(importlib.import_module(module), name)
    logging.root.handlers[:] = handlers  # fairseq adds one, through which mkdocs would tell all that it does
    return found


def _resolve(origin: str, link: str | None) -> tuple[str | None, str]:
    """The repository path that a link in `origin` points to, and its anchor; None for what is not a relative path."""
    if link is None or re.match(r"[a-z]+:|#|/", link):
        return None, ""
    target, sharp, anchor = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target)), sharp + anchor


def _as_text(path: str) -> str:
    # a browser shows .txt, where it would save .sh or .yaml
    if path.endswith((".svg", ".png")):
        return path
    return f"files/{path.removesuffix('.txt')}.txt"
