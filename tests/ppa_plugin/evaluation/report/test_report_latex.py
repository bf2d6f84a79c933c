"""LaTeX: every line of a table is whole, all text is escaped, and the document compiles where there is a TeX."""

import re
import shutil
import string
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.evaluation.report.grid import Cell, Grid, Row, Section
from ppa_plugin.evaluation.report.pages.latex import LINES, document, escape, fragment

NASTY = "a_b & 50% #1 {x} $y$ \\z ~^ <p> |\"' é 中文 – ± − † [k]\n*"


needs_tex = pytest.mark.skipif(
    shutil.which("pdflatex") is None and shutil.which("tectonic") is None, reason="no TeX here"
)


def grid(rows: int = 3, name: str = "one") -> Grid:
    cells = (Cell("62.9", "0.4", "†", True, True), Cell(NASTY), Cell())
    body = tuple(Row((f"{NASTY} {i // 2}", f"model {i}"), cells, rule=i % 2 == 0) for i in range(rows))
    spans = (("task_1, 10%", 2), ("#2", 1))
    return Grid(name, f"Title {NASTY}", ("target", "[model]"), ("Latn", NASTY, "*"), body, spans, (f"Note {NASTY}.",))


def check_tables(text: str) -> int:
    """Every line of each tabular has its columns, braces and environments are balanced; returns how many lines."""
    bare = re.sub(r"\\[\\{}&%#_$]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for environment in ("table", "tabular", "minipage"):
        assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}")
    lines = 0
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        for line in body.split("\n"):
            if line.endswith(r" \\"):
                spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + spanned == len(columns), line
                lines += 1
            else:
                assert re.fullmatch(
                    r"(\\(top|mid|bottom)rule|\\addlinespace\[2pt\]|(\\cmidrule\(lr\)\{\d+-\d+\})+)?", line
                )
    return lines


def test_tables_are_whole():
    text = fragment(grid())
    assert check_tables(text) == 3 + 2  # rows, spans and columns
    assert r"\textbf{\underline{62.9}}$_{\pm 0.4}$\textsuperscript{\textdagger{}}" in text
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-5}" in text
    assert r"\label{tab:one}" in text


@given(st.text(alphabet=st.one_of(st.sampled_from("\\{}$&#_%~^<>|\"'–±−†\n"), st.characters()), max_size=30))
def test_escaped_text_has_no_command_of_its_own(text):
    escaped = escape(text)
    assert set(escaped) <= set(string.printable) | set(map(chr, range(0xC0, 0x100)))
    bare = re.sub(r"\\(text[a-z]+\{\}|texttt\{U\+[0-9A-F]+\}|[{}$&#_%])|\$-\$|\$\\(pm|to|times)\$", "", escaped)
    assert not set(bare) & set("\\{}$&#_%~^\n")


def test_quotation_marks_are_of_every_encoding():
    assert escape('a "b"') == "a ''b''"


def test_a_long_table_goes_on_in_another():
    text = fragment(grid(2 * LINES + 10))
    assert text.count(r"\begin{table}") == 3
    assert "(3 of 3)" in text
    assert text.count(r"\label{") == 1
    assert check_tables(text) == 2 * LINES + 10 + 3 * 2


def test_tables_of_words_are_left_out():
    prose = Grid("models", "Models", ("model",), ("path",), (Row(("a",), (Cell("b"),)),), prose=True)
    assert "tabular" not in document([Section("How", (prose, "text"))])


def compiled(directory, text) -> bytes:
    (directory / "results.tex").write_text(text, encoding="utf-8")
    tex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error"] if shutil.which("pdflatex") else ["tectonic"]
    done = subprocess.run(
        [*tex, "results.tex"], cwd=directory, capture_output=True, text=True, errors="replace", timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return (directory / "results.pdf").read_bytes()


@needs_tex
def test_the_document_compiles(tmp_path):
    assert compiled(tmp_path, document([Section(NASTY, (grid(), grid(LINES + 5, "two")))])).startswith(b"%PDF")


@needs_tex
@pytest.mark.parametrize("encoding", ["OT1", "T1"])
def test_a_fragment_compiles_in_either_font_encoding(tmp_path, encoding):
    letters = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)]))
    made = replace(grid(), notes=(NASTY, letters))
    (tmp_path / "one.tex").write_text(fragment(made), encoding="utf-8")
    packages = re.search(r"usepackage\{(.*)\}", fragment(made))[1]
    text = rf"\documentclass{{article}}\usepackage[{encoding}]{{fontenc}}\usepackage{{{packages}}}"
    assert compiled(tmp_path, text + "\n\\begin{document}\\input{one}\\end{document}\n").startswith(b"%PDF")
