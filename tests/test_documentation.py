"""What the pages say: links lead somewhere, commands are taken by their parsers, settings by their readers."""

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from command_lines import COMMANDS, PLUGIN, ROOT, flags_of, parse
from ppa_preprocess.group import load_group

from ppa_plugin.configuration import TranslitAlignmentConfig, TranslitAlignmentCriterionConfig
from ppa_plugin.model.architectures import CONFIGURATIONS as MODELS

PAGES = sorted(
    path.relative_to(ROOT)
    for directory in (".", "docs", "docs/reference", "examples", "examples/*", "benchmarks")
    for path in ROOT.glob(f"{directory}/*.md")
)
CODE = re.compile(r"^( *)```(?s:.*?)^\1```$|(?:^ {4,}.*\n)+|`[^`\n]+`", re.M)
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.M)
SHELL = {'"$(ppa-user-dir)"': PLUGIN, "$(which fairseq-train)": "fairseq-train", "$rank": "0"}
CONFIGURATIONS = (TranslitAlignmentCriterionConfig, TranslitAlignmentConfig, *MODELS.values())
# flags of programs that have no parser here
OF_OTHERS = {"--no-build-isolation", "--constraint", "--nodes", "--gpus-per-node", "--help"}


@pytest.fixture(scope="module")
def site_hooks():
    """docs/site_hooks.py, which mkdocs loads from its path too."""
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs/site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """The text without code blocks; what a link shows as code stays."""
    return re.sub(r"(?ms)^( *)```.*?^\1```$|^ {4,}(?![ *\d]).*?$", "", text)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_lead_somewhere(page):
    targets = [first or second for first, second in LINK.findall(without_code(text_of(page)))]
    for target in targets:
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page.parent / path) if path else ROOT / page
        assert there.exists(), f"{page}: {target}"
        assert ROOT in there.resolve().parents
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page}: no heading {target}"


def blocks(text: str) -> list[str]:
    """Code blocks, indented or fenced, without their indentation; continued lines are one."""
    found = [match[0] for match in CODE.finditer(text) if not match[0].startswith("`") or match[0].startswith("```")]
    return [re.sub(r"\\\n\s*", "", block) for block in found]


def commands(text: str) -> list[list[str]]:
    """Every line of a code block that begins with a command, or with the `...` or the flags that continue one."""
    found = []
    for line in (line.strip() for block in blocks(text) for line in block.split("\n")):
        for shell, value in SHELL.items():
            line = line.replace(shell, value)
        line = re.sub(r"^(?:[A-Z_]+=\S+ +)+(?=make|ppa|fairseq)", "", line)
        name = line.split(" ")[0]
        if name in (*COMMANDS, "...") or name.startswith("--"):
            found.append([word for word in shlex.split(line, comments=True) if word != "&"])
    return found


def training_command() -> list[str]:
    """README's, which stands for the `...` of other pages."""
    return next(line for line in commands(text_of(Path("README.md"))) if line[0] == "fairseq-train")


def check(line: list[str]) -> None:
    """Give a command to its parser; where a part is left out, look up the flags that are there."""
    name, *rest = line
    if name.startswith("--"):
        check_flags(line)
    elif name == "..." or (name == "fairseq-train" and "..." in rest):
        left_out = {"--fp16"} if "--bf16" in rest else set()
        parse([*(w for w in training_command() if w not in left_out), *(w for w in rest if w != "...")])
    elif name == "torchrun":
        script = parse([word for word in line if word != "..."])
        parse([*training_command(), *script.training_script_args])
    elif "..." in rest:
        check_flags(line)
    else:
        parse(line)


def check_flags(words: list[str]) -> None:
    """Every --flag is one of the command's, or, without a command, of any."""
    given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    name = words[0] if words[0] in COMMANDS else None
    if name and len(words) == 1:
        return
    if name in ("make", "dask"):
        parse(words)
        return
    known = flags_of(name, words[1] if len(words) > 1 else None) if name else every_flag()
    assert given <= known, f"{' '.join(words)}: no such flag: {', '.join(given - known)}"


def every_flag() -> set[str]:
    names = ("fairseq-train", "ppa-preprocess", "ppa-convert", "ppa-evaluate", "ppa-report")
    return set().union(OF_OTHERS, *(flags_of(name) for name in names))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_are_taken_by_their_parsers(page):
    for line in commands(text_of(page)):
        check(line)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_scripts_on_the_pages_exist(page):
    for script in re.findall(r"(?<![\w/])(?:examples|benchmarks)/[\w/]+\.(?:sh|sbatch|py|yaml)", text_of(page)):
        assert (ROOT / script).is_file() or (ROOT / page.parent / script).is_file(), script


# those of benchmarks/ are the scripts' own, those of CONTRIBUTING.md are pytest's
@pytest.mark.parametrize("page", [p for p in PAGES if p.parts[0] not in ("benchmarks", "CONTRIBUTING.md")], ids=str)
def test_flags_in_the_text_exist(page):
    for match in CODE.finditer(text_of(page)):
        if match[0].startswith("`") and not match[0].startswith("```"):
            words = shlex.split(match[0].strip("`")) if '"' in match[0] else match[0].strip("`").split()
            if words and (words[0] in COMMANDS or words[0].startswith("--")):
                check_flags(words)


def test_the_commands_are_found():
    readme = [line[:2] for line in commands(text_of(Path("README.md")))]
    assert [line[1] for line in readme if line[0] == "make"] == ["setup", "demo"]
    from_text_to_result = [
        "ppa-convert",
        "ppa-preprocess",
        "fairseq-train",
        "ppa-convert",
        "ppa-evaluate",
        "ppa-report",
    ]
    assert [line[0] for line in readme if line[0] != "make"] == from_text_to_result
    assert "--max-update" in training_command()
    pages = [line[0] for page in PAGES for line in commands(text_of(page))]
    assert pages.count("ppa-convert") >= 8
    assert {*COMMANDS, "--retrieval-data", "..."} - {"ppa-user-dir"} <= {*pages}


@pytest.mark.parametrize(
    "line",
    [
        "fairseq-train ... --seq-wieght 0",
        "ppa-preprocess all --config group.yaml --input corpus",
        "ppa-evaluate retrieval --model base --task bible --output results.jsonl",
        "ppa-convert to-fairseq",
        "make dmeo",
        "--no-such-flag",
    ],
)
def test_a_wrong_command_is_noticed(line):
    with pytest.raises(AssertionError):
        check(shlex.split(line))


@pytest.mark.parametrize(("page", "first"), [("README.md", "name: my_group"), ("docs/data.md", "name: my_group")])
def test_groups_on_the_pages_are_read(page, first, tmp_path):
    (block,) = [block for block in blocks(text_of(Path(page))) if first in block]
    lines = block.split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    group = [line[indent:] for line in lines]
    group = group[group.index(first) :]
    group = group[: group.index("YAML")] if "YAML" in group else group
    (tmp_path / "group.yaml").write_text("\n".join(group) + "\n", encoding="utf-8")
    assert load_group(tmp_path / "group.yaml").name == "my_group"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_python_on_the_pages_is_python(page):
    for block in re.findall(r"^```python\n(.*?)^```$", text_of(page), re.M | re.S):
        assert ast.parse(block).body


REFERENCE = "".join(text_of(page) for page in PAGES if page.parts[:2] == ("docs", "reference"))


@pytest.mark.parametrize("module", re.findall(r"^::: (\S+)$", REFERENCE, re.M))
def test_modules_of_the_reference_exist(module):
    assert importlib.util.find_spec(module)


def test_the_reference_lists_every_flag_of_a_training(site_hooks):
    tables = [site_hooks._table_of_flags(*found) for found in re.findall(r"^{{ flags (\S+) (\w+) }}$", REFERENCE, re.M)]
    listed = re.findall(r"^\| `(--\S+)` \|", "\n".join(tables), re.M)
    own = [f for config in CONFIGURATIONS for f in fields(config) if "help" in f.metadata and f.name != "data"]
    assert listed == [f"--{f.name.replace('_', '-')}" for f in own]
    assert {"--mlm-sides", "--seq-gather", "--mask-prob", "--encoder-layers"} <= {*listed}
    assert "| `--seq-temperature` | `1.0` | divides the similarities of SEQ |" in tables[0]


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="make docs installs mkdocs")
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>|@import")
    for page in pages:
        assert not loaded.findall(page.read_text(encoding="utf-8")), page
