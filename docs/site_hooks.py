"""What mkdocs calls while it builds the site: pages that lie elsewhere in the repository, linked files, equations.

The pages are written to be read on the repository's own pages as well: they link to files by relative paths, and an
equation is a block ```math. Here mkdocs learns the path of each in the repository, so that links hold as they stand:
README.md and its like become pages, any other file of the repository that is linked is copied. Equations become MathML.
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
    "README.md": "readme",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "benchmarks/README.md": "benchmarks",
    "examples/README.md": "examples",
}
_LINK = re.compile(r"\]\(([^/#)\s][^#)\s]*)")
# a line {{ flags MODULE CLASS }}: a table of the flags that a configuration adds to fairseq-train
_FLAGS = re.compile(r"^{{ flags (\S+) (\w+) }}$", re.M)


def pages() -> dict[str, str]:
    """Repository path -> place in the site, for every page that lies outside docs/."""
    folders = [f"examples/{path.parent.name}" for path in sorted(ROOT.glob("examples/*/README.md"))]
    return PAGES | {f"{folder}/README.md": folder for folder in folders}


def on_config(config):
    """List the examples in the order in which their own page names them, then those that it does not name."""
    ordered = dict.fromkeys(["examples/README.md", *_linked("examples/README.md"), *pages()])
    section = next(entry for entry in config.nav if "Examples" in entry)
    section["Examples"] = [path for path in ordered if path in pages() and path.startswith("examples/")]
    fence = {"name": "math", "class": "equation", "format": _equation}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def on_files(files, config):
    """Let pages, and every other file that one links to, be known by their paths in the repository."""
    from mkdocs.structure.files import File, InclusionLevel  # a test reads this file without mkdocs

    def add(path: str, place: str) -> File:
        where = (str(ROOT), config.site_dir, config.use_directory_urls)
        files.append(File(path, *where, dest_uri=place, inclusion=InclusionLevel.INCLUDED))
        return files.get_file_from_path(path)

    for file in [file for file in files if file.src_dir == config.docs_dir and file.inclusion.is_included()]:
        files.remove(file)
        add(f"docs/{file.src_uri}", file.dest_uri)
    for path, place in pages().items():
        add(path, f"{place}/index.html")
    files.get_file_from_path("benchmarks/README.md").name = "benchmarks"  # no index, which would stand for its section
    for path in sorted({path for page in files.documentation_pages() for path in _linked(page.src_uri)}):
        if files.get_file_from_path(path) is None and (ROOT / path).is_file():
            # a browser shows .txt, where it would save .sh or .yaml
            place = path if path.endswith((".svg", ".png")) else f"files/{path.removesuffix('.txt')}.txt"
            add(path, place).is_documentation_page = lambda: False  # Markdown that is none of the pages
    return files


def on_page_markdown(markdown, page, config, files):
    """Write the tables of flags."""
    return _FLAGS.sub(lambda match: _table_of_flags(*match.groups()), markdown)


def _linked(page: str) -> list[str]:
    """What a page links to, by its path in the repository."""
    links = _LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    return [posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) for link in links]


def _equation(source: str, language: str, css_class: str, options, md, **attributes) -> str:
    from latex2mathml.converter import convert

    return f'<div class="{css_class}">{convert(source.strip(), display="block")}</div>'


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
