"""Token alignment in the report: accuracy by layer and language, words, maps of one sentence."""

import json
import re

import pytest
from made_up_results import matrix
from running import exit_code

from ppa_plugin.evaluation import report
from ppa_plugin.evaluation.analysis.records import latest
from ppa_plugin.evaluation.report.analysis_tables import read_by_kind
from ppa_plugin.evaluation.report.plots.token_maps import layer_plots, map_pictures
from ppa_plugin.evaluation.report.token_tables import block_lines, language_tables, layer_tables, word_lines
from ppa_plugin.evaluation.results import append_results

EVERY = {"model_sha256": "a", "data_sha256": "b", "version": "0.1.0"}
COUNTS = {"blocks": 90, "pairs": 9, "pairs_without": 1, "depth": 3, "group": 8, "romanizer": "uroman 1"}
BY = "Romanized by uroman 1."


def tokens(model, language, layer, accuracy, **more) -> dict:
    shares = {"accuracy": accuracy, "chance": 0.1, "from_orig": accuracy, "from_latn": accuracy}
    which = {"model": model, "task": "bible", "language": language, "layer": layer}
    return {"kind": "tokens", **EVERY, **which, **shares, **COUNTS, **more}


def words(model, layer, accuracy, **more) -> dict:
    counts = dict.fromkeys(("source_words", "target_words", "source_left_out", "target_left_out"), 1200)
    which = {"model": model, "source": "eng_Latn", "target": "ell_Grek", "layer": layer}
    shares = {"accuracy": accuracy, "chance": 0.02, "from_source": accuracy, "from_target": accuracy}
    more = {"lines": 60, "lines_without": 0, "depth": 3, "group": 8, **more}
    return {"kind": "words", **EVERY, **which, **shares, **counts, **more}


def token_map(model, cosines, **more) -> dict:
    labels = {"orig": ["μία", "λέξη", "<b>&"], "latn": ["mia", "lexe", "$x_1$"]}
    which = {"model": model, "task": "bible", "language": "ell_Grek", "layer": 2, "number": 4}
    return {"kind": "token_map", **EVERY, **which, **labels, "cosines": cosines, **more}


BASE, ALIGNED = [[0.5, 0.7, 0.1], [0.6, 0.9, 0.8], [0.2, 0.3, 0.25]], [[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0, 0.9]]
BLOCKS = [
    *(
        tokens("base", language, layer, 0.1 + 0.1 * layer)
        for language in ("ell_Grek", "fas_Arab")
        for layer in range(4)
    ),
    *(
        tokens("aligned", language, layer, 0.2 + 0.2 * layer)
        for language in ("ell_Grek", "kor_Hang")
        for layer in (1, 3)
    ),
    tokens("aligned", "fas_Arab", 1, 0.6),
    tokens("aligned", "fas_Arab", 3, 0.4),
]


def texts(grid) -> list[list[str]]:
    return [[*row.labels, *(cell.text for cell in row.cells)] for row in grid.rows]


def test_layers_are_means_over_the_languages_that_no_model_lacks():
    (lines,) = block_lines(BLOCKS)
    (grid,) = layer_tables([lines])
    assert (grid.stub, grid.columns) == (("layer",), ("base", "aligned"))
    assert texts(grid) == [["0", "10.0", "–"], ["1", "20.0", "50.0"], ["2", "30.0", "–"], ["3", "40.0", "60.0"]]
    assert grid.notes[0].startswith("Percent, the mean of both directions; by chance 10.0.")
    assert grid.notes[1] == f"Mean over 2 languages: ell_Grek, fas_Arab. Candidates are the blocks of 8 sentences. {BY}"
    (picture,) = layer_plots([lines])
    assert all(f">{name}<".encode() in picture.files["svg"] for name in ("base", "aligned", "chance"))


def test_the_order_of_records_decides_no_figure():
    (one,), (other,) = block_lines(BLOCKS), block_lines(BLOCKS[::-1])
    assert one.curves == {name: pytest.approx(curve) for name, curve in other.curves.items()}
    assert one.note == other.note


def test_languages_stand_at_the_layer_nearest_to_the_papers():
    (grid,) = language_tables(BLOCKS)
    assert grid.columns == ("base, layer 2", "aligned, layer 1")
    assert texts(grid) == [
        ["ell_Grek", "30.0", "40.0"],
        ["fas_Arab", "30.0", "60.0"],
        ["kor_Hang", "–", "40.0"],
        ["mean (2)", "30.0", "50.0"],
    ]
    assert grid.notes[0].endswith(f"Candidates are the blocks of 8 sentences. {BY}")
    assert grid.notes[1] == "Of 50 sentences, all languages and models together, 5 have no block."
    assert language_tables(BLOCKS[:4]) == []  # of one language the other table says it


def test_models_without_a_language_in_common_have_no_mean():
    apart = [tokens("base", "ell_Grek", 1, 0.5), tokens("aligned", "fas_Arab", 1, 0.5)]
    assert block_lines(apart) == []
    (grid,) = language_tables(apart)
    assert texts(grid) == [["ell_Grek", "50.0", "–"], ["fas_Arab", "–", "50.0"]]


def test_tasks_are_tables_of_their_own():
    both = [*BLOCKS, *({**record, "task": "sib"} for record in BLOCKS[:8])]
    assert [lines.title.rpartition(": ")[2] for lines in block_lines(both)] == ["bible", "sib"]
    assert len({lines.name for lines in block_lines(both)}) == 2


def test_other_text_or_weights_count_where_they_are_the_last_and_are_said():
    both = ("ell_Grek", "fas_Arab")
    said = "Candidates are the blocks of 8 sentences. Not all models were measured on the same sentences in"
    records = [*BLOCKS, *(tokens("base", language, 2, 0.9, data_sha256="c") for language in both)]
    (lines,) = block_lines(records)
    assert lines.curves["base"] == {2: pytest.approx(0.9)}  # no layer of the earlier text
    assert lines.note == f"Mean over 2 languages: ell_Grek, fas_Arab. {said} ell_Grek, fas_Arab. {BY}"
    (grid,) = language_tables([*BLOCKS, tokens("base", "ell_Grek", 2, 0.9, data_sha256="c")])
    assert texts(grid)[:2] == [["ell_Grek", "90.0", "40.0"], ["fas_Arab", "30.0", "60.0"]]
    assert grid.notes[0].endswith(f"{said} ell_Grek. {BY}")
    again = [tokens("base", language, 1, 0.7, model_sha256="new") for language in both]
    (lines,) = block_lines([*BLOCKS, *again])
    assert lines.curves["base"] == {1: pytest.approx(0.7)}
    (of_words,) = word_lines([words("base", 3, 0.5), words("base", 1, 0.25), words("base", 3, 0.6, model_sha256="new")])
    assert of_words.curves == {"base": {3: 0.6}}


@pytest.mark.parametrize("drawn", [{"seed": 1}, {"pairs": 19}])
def test_of_other_sentences_drawn_the_last_count_and_are_said(drawn):
    again = [tokens("base", language, 2, 0.9, **drawn) for language in ("ell_Grek", "fas_Arab")]
    (lines,) = block_lines(latest([*BLOCKS, *again]))
    assert lines.curves["base"] == {2: pytest.approx(0.9)}  # no layer of the earlier ones
    assert lines.note.endswith("Not all models were measured on the same sentences in ell_Grek, fas_Arab. " + BY)


def test_groups_of_another_size_are_other_tables():
    """More candidates are harder to tell apart: no curve, mean or chance is of two sizes."""
    records = latest([*BLOCKS, *(tokens(name, "ell_Grek", 3, 0.1, group=64, chance=0.01) for name in ("base", "new"))])
    few, many = block_lines(records)
    (as_before,) = block_lines(BLOCKS)
    assert (few.curves, few.chance, few.note) == (as_before.curves, as_before.chance, as_before.note)
    assert (many.curves, many.chance) == ({"base": {3: 0.1}, "new": {3: 0.1}}, pytest.approx(0.01))
    assert many.note == f"ell_Grek. Candidates are the blocks of 64 sentences. {BY}"
    assert [lines.title.rpartition(": ")[2] for lines in (few, many)] == ["bible, groups of 8", "bible, groups of 64"]
    (grid,) = language_tables(records)  # of the other one there is one language
    assert texts(grid) == texts(language_tables(BLOCKS)[0])
    of_words = word_lines(latest([words("base", 3, 0.5), words("base", 3, 0.2, group=2), words("x", 3, 0.1, group=2)]))
    assert [lines.curves for lines in of_words] == [{"base": {3: 0.5}}, {"base": {3: 0.2}, "x": {3: 0.1}}]
    assert [lines.title.rpartition("ell_Grek")[2] for lines in of_words] == [", groups of 8", ", groups of 2"]
    assert len({lines.name for lines in (few, many)}) == 2


def test_words_of_other_lines_are_said():
    (lines,) = word_lines([words("base", 3, 0.5), words("aligned", 3, 0.6, seed=1)])
    assert lines.curves == {"base": {3: 0.5}, "aligned": {3: 0.6}}
    assert lines.note.endswith("Not all models were measured on the same lines.")
    (again,) = word_lines([words("base", 3, 0.5), words("base", 1, 0.6, lines=50)])
    assert again.curves == {"base": {1: 0.6}}
    assert "Not all" not in again.note


def test_a_model_that_was_measured_by_two_romanizers_has_a_name_for_each(tmp_path):
    mine = "ell_Grek: my_romanizers:Greek 2; others: uroman 1"
    records = [tokens("base", language, 1, 0.25, romanizer=mine) for language in ("ell_Grek", "fas_Arab")]
    maps = [token_map("base", BASE), token_map("base", ALIGNED, romanizer=mine), token_map("aligned", ALIGNED)]
    lines = "".join(f"{json.dumps(record)}\n" for record in [*BLOCKS, *records, *maps])
    (tmp_path / "analysis.jsonl").write_text(lines)
    found = read_by_kind([str(tmp_path / "analysis.jsonl")])
    (of_task,) = block_lines(found["tokens"])
    one, aligned, other = of_task.curves
    assert (one, aligned) == ("base (uroman 1)", "aligned")
    assert other.startswith("base (ell_Grek: my_romaniz… ")
    assert of_task.curves[other] == {1: pytest.approx(0.25)}
    assert of_task.curves[one] == pytest.approx({layer: 0.1 + 0.1 * layer for layer in range(4)})
    assert of_task.note.endswith(f"Romanized by uroman 1 ({one}, aligned), by {mine} ({other}).")
    (picture,) = map_pictures(found["token_map"])
    assert f"base, layer 2: 1 of 3; {other}, layer 2: 3 of 3; aligned, layer 2: 3 of 3" in picture.note


def test_words_by_layer():
    records = [words("base", 3, 0.5), words("base", 0, 0.25), words("aligned", 3, 0.75)]
    (grid,) = layer_tables(word_lines(records))
    assert texts(grid) == [["0", "25.0", "–"], ["3", "50.0", "75.0"]]
    assert grid.notes[1].startswith(
        "60 lines in groups of 8; 1,200 words of eng_Latn and 1,200 of ell_Grek that are linked"
    )
    other = words("base", 3, 0.5, data_sha256="0123456789abcdef")
    titles = [lines.title.rpartition("ell_Grek")[2] for lines in word_lines([*records, other])]
    assert titles == [", data b", ", data 01234567"]
    assert layer_plots(word_lines([words("base", 3, 0.5)])) == []


def test_a_map_shows_the_models_side_by_side_and_says_what_is_found():
    other = token_map("base", BASE, orig=["α", "β", "γ"])
    picture, alone = map_pictures([token_map("base", BASE), token_map("aligned", ALIGNED), other])
    assert "base, layer 2: 1 of 3; aligned, layer 2: 3 of 3" in picture.note
    assert "base, layer 2: 1 of 3; aligned, layer 2: 3 of 3" in picture.alt
    svg = picture.files["svg"].decode()
    for label in ("μία", "λέξη", "&lt;b&gt;&amp;", "mia", "lexe", "$x_1$"):
        assert svg.count(f">{label}<") == 2  # a panel each
    assert ">β<" in alone.files["svg"].decode()


def test_a_map_of_cosines_of_one_has_one_colour():
    alike = [token_map(model, [[1, 1], [1, 1]], orig=["α", "β"], latn=["a", "b"]) for model in ("base", "aligned")]
    (picture,) = map_pictures(alike)
    panels = re.findall(r'<g id="QuadMesh_\d">(.*?)</g>', picture.files["svg"].decode(), re.DOTALL)
    fills = [fill for panel in panels for fill in re.findall(r"fill: (#[0-9a-f]{6})", panel)]
    assert len(fills) == 8
    assert len(set(fills)) == 1


def test_the_page_has_them_all(tmp_path):
    append_results(tmp_path / "results.jsonl", matrix())
    records = [*BLOCKS, words("base", 0, 0.5), words("base", 1, 0.6), token_map("base", BASE), token_map("x", ALIGNED)]
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (tmp_path / "analysis.jsonl").write_text(lines, encoding="utf-8")
    flags = ("--analysis", tmp_path / "analysis.jsonl", "--output", tmp_path / "report")
    assert exit_code(report.main, tmp_path / "results.jsonl", *flags) == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    for title in (
        "How often a block of tokens finds its romanization: bible",
        "How often a block of tokens finds its romanization, by language: bible",
        "How often a word finds its translation: eng_Latn, ell_Grek",
        "One sentence and its romanization: bible, ell_Grek",
    ):
        assert f"<figcaption>{title}</figcaption>" in page
    assert ">λέξη<" in page
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page
    names = {"tokens_bible.tex", "tokens_bible_languages.tex", "words_eng_Latn_ell_Grek.tex"}
    assert names <= {path.name for path in (tmp_path / "report" / "tables").iterdir()}
