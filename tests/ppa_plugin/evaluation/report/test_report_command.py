"""`ppa-report` as a user calls it: the files, the page, the plots, and what is refused."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from made_up_results import GROUPS, matrix, result
from running import exit_code

from ppa_plugin.evaluation import report
from ppa_plugin.evaluation.report.grid import Picture
from ppa_plugin.evaluation.report.pages.html import inline_svg
from ppa_plugin.evaluation.report.pages.markdown import escape
from ppa_plugin.evaluation.report.plots.drawing import INK
from ppa_plugin.evaluation.results import append_results

EVIL = '<script src="https://example.org/x.js">&"\'_*|$x$'
VOID = {"meta", "br", "hr", "img", "link", "input"}


def run(*arguments) -> int:
    return exit_code(report.main, *arguments)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Results with a sweep over layers and a series of checkpoints, groups, published figures, analyses."""
    directory = tmp_path_factory.mktemp("inputs")
    changes = {"source": "eng_Latn", "target": "tur_Latn", "data_sha256": "eng_Latn tur_Latn"}
    sweep = [result("aligned", value=layer / 20, layer=layer, **changes) for layer in range(12) if layer != 8]
    series = [result(EVIL, value=step / 9, config={"step": step}, **changes) for step in (1, 2, 3)]
    append_results(directory / "results.jsonl", matrix() + sweep + series)
    groups = "".join(f"{name}: [{', '.join(codes)}]\n" for name, codes in GROUPS.items())
    (directory / "groups.yaml").write_text(groups)
    (directory / "paper.csv").write_text(
        "group,table,task,metric,model,source,target,value\nmed,Table 2,bible,top10,base,eng_Latn,tur_Latn,33.3\n"
    )
    every = {"model_sha256": "a", "data_sha256": "b", "version": "0.1.0", "pool": "all"}
    probe = {"kind": "scripts", "model": "base", **every, "accuracy": 0.9, "chance": 0.4, "scripts": {"Grek": 3}}
    points = {"points": [[0, 1.5], [2, 3]], "labels": ["ell_Grek", "tur_Latn"], "method": "pca", "layer": 1, **every}
    records = [{**probe, "layer": 0}, {**probe, "layer": 1}, {"kind": "projection", "model": EVIL, **points}]
    (directory / "analysis.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return directory


@pytest.fixture(scope="module")
def made(files):
    """The report of all of it."""
    output = files / "report"
    inputs = ("--groups", files / "groups.yaml", "--paper", files / "paper.csv", "--analysis", files / "analysis.jsonl")
    assert run(files / "results.jsonl", *inputs, "--baseline", "base", "--title", EVIL, "--output", output) == 0
    return output


class Page(HTMLParser):
    """Tags that fit together, addresses, identifiers and the text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.addresses, self.ids, self.text = [], [], [], [], []
        self.feed(text.replace("<wbr>", ""))  # where a text may be broken is none of it
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
            self.addresses += re.findall(r"url\(([^)]*)\)", value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(made):
    return Page((made / "report.html").read_text(encoding="utf-8"))


def test_files(made):
    found = set(os.listdir(made))
    assert {"results.md", "results.csv", "results.tex", "report.html", "tables"} <= found
    pictures = {
        "bible_eng_Latn_top10",
        "ner_kor_Hang_span_micro_f1",
        "med_gain_aligned_over_base",
        "overview_bible",
        "overview_ner",
        "med_bible_top10_layers",
        "med_bible_top10_steps",
        "script_probe",
        "projection",
    }
    assert {f"{name}.{form}" for name in pictures for form in ("png", "svg")} <= found
    assert not any(name.startswith("asia_bible_top10_") for name in found)  # no series, no sweep there
    assert "med_retrieval.tex" in os.listdir(made / "tables")
    assert all((made / name).read_bytes().startswith(b"\x89PNG") for name in found if name.endswith(".png"))


def test_markdown_has_the_tables_and_the_models_side_by_side(made):
    text = (made / "results.md").read_text(encoding="utf-8")
    assert "### med: retrieval, averages over targets" in text
    assert "| target | model | bible, top10: Latn | bible, top10: Arab |" in text
    assert re.search(r"\*\*<u>\d+\.\d</u>\*\* ±\d", text)
    assert "### bible, from eng_Latn, top10" in text
    assert "<script" not in text
    linked = re.findall(r"\]\((\S+\.svg)\)", text)
    assert linked
    assert all((made / name).is_file() for name in linked)
    for line in text.splitlines():
        if line.startswith("| ") and "script src" not in line:
            assert line.endswith(" |")


def test_the_page_needs_nothing_from_elsewhere(page, made):
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    local = [address for address in page.addresses if address.startswith("#")]
    assert local
    assert [a for a in page.addresses if not a.startswith(("#", "data:"))] == []
    assert {address[1:] for address in local} <= set(page.ids)
    style = (made / "report.html").read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_holds_all_of_it(page, made):
    text = " ".join("".join(page.text).split())
    assert page.text.count(EVIL) > 2  # escaped where it is a title, a model, a heading
    for heading in ("Contents", "Checkpoints", "Layers", "Beside the published figures", "How it was measured"):
        assert heading in text
    assert "a" * 64 in text
    assert "42, 43, 44" in text
    assert "the tables show step 3" in text
    svgs = [name for name in os.listdir(made) if name.endswith(".svg")]
    assert page.tags.count("svg") == len(svgs)
    grids = len(os.listdir(made / "tables"))
    assert page.tags.count("table") == grids + 3  # models, data, settings
    html = (made / "report.html").read_text(encoding="utf-8")
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert INK not in html.split("<main>")[1]


def test_it_opens_with_a_picture(made):
    html = (made / "report.html").read_text(encoding="utf-8")
    opening = html[html.index("</h1>") :]
    assert opening.index("<svg") < opening.index("<nav") < opening.index("<table")
    title = re.search(r'<svg[^>]* role="img"><title>(.*?)</title>', opening).group(1)
    assert re.match(r"bible, top10: gain over base, points, by language\. mean: .*other [+−]\d", title)
    for folded in re.findall(r"<details.*?</details>", html, re.DOTALL):
        assert "<svg" not in folded
    text = (made / "results.md").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line and not line.startswith("#"))
    assert re.fullmatch(r"!\[bible, top10: gain over base, points, .* mean: .*\]\(overview_bible\.svg\)", first)


def test_pictures_of_the_page_are_lean_and_their_texts_whole():
    svg = (
        '<svg viewBox="0 0 72 72"><g id="a">\n <text x="1.23456" transform="rotate(-0 1 2)">v1.23456</text>\n</g></svg>'
    )
    shown = inline_svg(Picture("name", "title 1.2345", "", {"svg": svg.encode()}))
    assert '<g>\n <text x="1.23">v1.23456</text>' in shown
    assert "<title>title 1.2345</title>" in shown


def test_every_line_of_every_table_of_the_page_is_whole(made):
    for table in re.findall(r"<table.*?</table>", (made / "report.html").read_text(encoding="utf-8"), re.DOTALL):
        reach, widths = [], []
        for line in re.findall(r"<tr.*?</tr>", table, re.DOTALL):
            width = sum(hanging > 0 for hanging in reach)
            reach = [hanging - 1 for hanging in reach if hanging > 1]
            for attributes in re.findall(r"<t[hd]([^>]*)>", line):
                columns, rows = (
                    int(m.group(1)) if (m := re.search(rf'{n}="(\d+)"', attributes)) else 1
                    for n in ("colspan", "rowspan")
                )
                width += columns
                reach += [rows - 1] * (rows > 1)
            widths.append(width)
        assert len(set(widths)) == 1
        assert not reach


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
def test_the_report_compiles(made, tmp_path):
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"-output-directory={tmp_path}", "results.tex"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_in_a_browser(made, tmp_path, width):
    from matplotlib import image

    shot = tmp_path / "page.png"
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},2000", f"--screenshot={shot}", f"file://{made / 'report.html'}"]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    pixels = image.imread(shot)
    assert pixels.shape[1] == width
    written = (abs(pixels[..., :3] - pixels[0, 0, :3]).max(axis=-1) > 0.2).mean(axis=1) > 0.01
    assert written.mean() > 0.1  # lines of the picture that show something


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
def test_no_figure_or_table_makes_the_page_wider_than_the_screen(made, tmp_path):
    html = (made / "report.html").read_text(encoding="utf-8").replace("<details>", "<details open>")
    html = re.sub(r'<meta http-equiv="Content-Security[^>]*>', "", html)
    measure = (
        "let page = document.documentElement; document.title = JSON.stringify([page.scrollWidth, page.clientWidth])"
    )
    for width in (390, 1280):
        frame = f'<iframe width="{width}" height="900" src="page.html"></iframe>'
        (tmp_path / "page.html").write_text(
            f"{html}<script>{measure}; parent.postMessage(document.title, '*')</script>"
        )
        listen = "onmessage = e => document.title = e.data"
        (tmp_path / "frame.html").write_text(f"<title>none</title><script>{listen}</script>{frame}")
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=9000"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{tmp_path / 'frame.html'}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        wide, seen = json.loads(re.search(r"<title>(.*?)</title>", done.stdout).group(1))
        assert wide <= seen <= width


def test_a_name_with_a_path_may_go_on_in_a_second_line(made):
    text = (made / "report.html").read_text(encoding="utf-8")
    assert '<span class="path">&lt;script src=&quot;https:/<wbr>/<wbr>example.org/<wbr>x.js' in text
    assert ".path { white-space: normal; }" in text


def test_plots_have_the_same_bytes_every_time(files, made, tmp_path):
    inputs = ("--groups", files / "groups.yaml", "--analysis", files / "analysis.jsonl", "--baseline", "base")
    assert run(files / "results.jsonl", *inputs, "--output", tmp_path) == 0
    for name in os.listdir(tmp_path):
        if name.endswith((".svg", ".png")):
            assert (tmp_path / name).read_bytes() == (made / name).read_bytes(), name


def test_analyses_may_be_named_one_by_one(files, made, tmp_path):
    records = (files / "analysis.jsonl").read_text().splitlines(keepends=True)
    flags = []
    for number, record in enumerate(records):
        (tmp_path / f"{number}.jsonl").write_text(record)
        flags += ["--analysis", tmp_path / f"{number}.jsonl"]
    assert run(files / "results.jsonl", *flags, "--output", tmp_path / "out") == 0
    for name in ("script_probe.svg", "projection.svg"):
        assert (tmp_path / "out" / name).read_bytes() == (made / name).read_bytes()


def test_one_model_one_task_is_a_report_too(tmp_path):
    append_results(tmp_path / "results.jsonl", [result()])
    assert run(tmp_path / "results.jsonl", "--output", tmp_path / "out") == 0
    assert not any("gain" in name or "layers" in name or "steps" in name for name in os.listdir(tmp_path / "out"))
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "Remarks" not in text
    Page(text)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--baseline", "nobody"], f"--baseline nobody: no such row in the tables; there are {EVIL}, aligned, b"),
        (["--layer", "99"], "--layer 99: nothing was measured at that layer; layers in the results: 0, 1"),
        (["--groups", "missing.yaml"], "cannot read --groups missing.yaml"),
        (["--paper", "missing.csv"], "cannot read missing.csv"),
        (["--analysis", "missing.jsonl"], "cannot read missing.jsonl"),
        (["--manifest", "missing.json"], "cannot read missing.json"),
    ],
)
def test_bad_usage_is_one_sentence_and_writes_nothing(files, tmp_path, capsys, flags, says):
    assert run(files / "results.jsonl", *flags, "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert says in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def test_results_of_other_data_and_an_output_that_is_a_file(files, tmp_path, capsys):
    append_results(tmp_path / "two.jsonl", [result(), result("aligned", data_sha256="other")])
    assert run(tmp_path / "two.jsonl", "--output", tmp_path / "out") == 2
    assert "data_sha256 differs" in capsys.readouterr().err
    (tmp_path / "taken").write_text("")
    assert run(files / "results.jsonl", "--output", tmp_path / "taken") == 2
    assert "exists and is not a directory" in capsys.readouterr().err


def test_remarks_name_what_the_tables_leave_out(tmp_path, capsys):
    results = [result(), result(target="deu_Latn"), result(model_sha256="b" * 64, target="tur_Latn")]
    append_results(tmp_path / "results.jsonl", results)
    (tmp_path / "groups.yaml").write_text("one: [fas_Arab, tur_Latn]\ntwo: [kor_Hang]\n")
    flags = ("--groups", tmp_path / "groups.yaml", "--output", tmp_path / "out")
    assert run(tmp_path / "results.jsonl", *flags) == 0
    notes = capsys.readouterr().err
    assert "In no group, so in no table: deu_Latn" in notes
    assert "Nothing was measured on group two." in notes
    assert f"base stands for 2 different sets of weights ({'a' * 12}, {'b' * 12})" in notes


def test_markdown_shows_names_as_they_are():
    assert escape("tur_Latn, a_b_c") == "tur_Latn, a_b_c"
    assert escape("_x_ a__b ,_y") == "\\_x\\_ a\\_\\_b ,\\_y"
    assert escape("*a* `b` <b>&[c](d)|#\n") == "\\*a\\* \\`b\\` &lt;b&gt;&amp;\\[c\\](d)\\|\\# "
