"""Published figures: the file that ships, what is wrong in one, and the comparison cell by cell."""

import re
from collections import Counter
from pathlib import Path

import pytest
from made_up_results import result

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, read_groups
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.published.averages import differing_averages, known_targets
from ppa_plugin.evaluation.report.published.comparison import difference_cell, signed, summary
from ppa_plugin.evaluation.report.published.facts import FIELDS, MEAN, read_published
from ppa_plugin.evaluation.report.published.matching import comparisons

EXAMPLES = Path(__file__).parents[4] / "examples"
HEADER = ",".join(FIELDS)
GROUP = [Group("my_group", ("fas_Arab", "ell_Grek", "heb_Hebr"))]
FIGURES = f"""\
# a comment, then a blank line

{HEADER}
My-Group,Table 2,bible,top10,base,eng_Latn,fas_Arab,40.0
My-Group,Table 2,bible,top10,base,eng_Latn,mean,41.5
My-Group,Table 2,bible,top10,theirs,eng_Latn,mean,60
My-Group,Table 2,bible,top10,base,ell_Grek,mean,10
"""


def read(tmp_path, text: str):
    path = tmp_path / "paper.csv"
    path.write_text(text, encoding="utf-8")
    return read_published(str(path))


def test_the_shipped_figures_and_groups():
    figures = read_published(str(EXAMPLES / "paper_results.csv"))
    groups = {group.name: group.languages for group in read_groups(str(EXAMPLES / "paper_groups.yaml"))}
    assert {figure.group for figure in figures} == groups.keys()
    assert all(f.target == MEAN or f.target in groups[f.group] for f in figures)
    tables = Counter((figure.table, figure.target == MEAN) for figure in figures)
    assert sum(of for (_, is_mean), of in tables.items() if not is_mean) == 1350
    assert {table for (table, is_mean) in tables if not is_mean} == {f"Table {n}" for n in (2, 3, 7, 8, 9, 10, 11, 12)}
    assert tables["Table 4", True] + tables["Table 5", True] == 195
    assert len(figures) == 1350 + 2 * 195
    by_place = {(f.table, f.task, f.model, f.source, f.target): f.value for f in figures}
    assert by_place["Table 4", "bible", "MLM+SEQ+TLM", "fas_Arab", "mean"] == pytest.approx(0.727)
    assert by_place["Table 5", "bible", "Glot500", "eng_Latn", "mean"] == pytest.approx(0.394)
    assert by_place["Table 2", "pos", "Glot500", "eng_Latn", "ara_Arab"] == pytest.approx(0.846)
    assert by_place["Table 12", "ner", "MLM+TLM", "tha_Thai", "wuu_Hani"] == pytest.approx(0.036)


# Table, task, source, model: the mean of the cells, and what is printed.
DIFFERING = {
    ("Table 2", "bible", "eng_Latn", "Glot500"): (42.29, 42.2),
    ("Table 2", "bible", "fas_Arab", "Glot500"): (44.575, 44.5),
    ("Table 2", "bible", "heb_Hebr", "Glot500"): (37.075, 37.0),
    ("Table 2", "pos", "eng_Latn", "Glot500"): (75.5, 72.8),
    ("Table 3", "bible", "eng_Latn", "Glot500"): (39.49, 39.4),
    ("Table 3", "bible", "zho_Hani", "Glot500"): (47.175, 47.1),
    ("Table 3", "bible", "zho_Hani", "MLM+SEQ+TLM"): (65.875, 65.8),
    ("Table 3", "taxi1500", "kor_Hang", "Glot500"): (59.26, 60.7),
    ("Table 3", "taxi1500", "zho_Hani", "Glot500"): (60.73, 62.1),
    ("Table 3", "taxi1500", "tha_Thai", "Glot500"): (58.2, 59.9),
    ("Table 3", "sib200", "eng_Latn", "Glot500"): (79.98, 79.3),
    ("Table 7", "bible", "eng_Latn", "MLM"): (50.29, 50.2),
    ("Table 7", "bible", "fas_Arab", "MLM"): (53.275, 53.2),
    ("Table 7", "bible", "ell_Grek", "MLM"): (55.475, 55.4),
    ("Table 7", "sib200", "ell_Grek", "MLM"): (82.43, 82.5),
    ("Table 8", "pos", "ell_Grek", "MLM+SEQ"): (64.63, 64.7),
    ("Table 9", "bible", "fas_Arab", "MLM+TLM"): (54.775, 54.7),
    ("Table 9", "bible", "ell_Grek", "MLM+TLM"): (55.775, 55.7),
    ("Table 10", "bible", "eng_Latn", "MLM"): (45.89, 45.8),
    ("Table 10", "bible", "tha_Thai", "MLM"): (51.475, 51.4),
    ("Table 11", "bible", "kor_Hang", "MLM+SEQ"): (63.875, 63.8),
}


def test_the_averages_of_the_paper_that_do_not_follow_from_their_cells():
    figures = read_published(str(EXAMPLES / "paper_results.csv"))
    found = {
        (of.printed.table, of.printed.task, of.printed.source, of.printed.model): (of.computed, of.printed.value)
        for of in differing_averages(figures)
    }
    assert found.keys() == DIFFERING.keys()
    for key, (computed, printed) in DIFFERING.items():
        assert found[key] == (pytest.approx(computed / 100, abs=6e-5), pytest.approx(printed / 100)), key
    bible = [found[key] for key in found if key[1] == "bible"]  # cut, not rounded
    assert len(bible) == 14
    assert all(0 < computed - printed < 0.001 for computed, printed in bible)
    elsewhere = {
        (of.printed.source, other.table): round(100 * other.value, 1)
        for of in differing_averages(figures)
        for other in of.elsewhere
        if of.printed.task in ("pos", "taxi1500") and of.printed.model == "Glot500"
    }
    assert elsewhere.pop(("eng_Latn", "Table 4")) == 72.8
    assert elsewhere == {("kor_Hang", "Table 5"): 59.2, ("zho_Hani", "Table 5"): 60.7, ("tha_Thai", "Table 5"): 58.2}


def test_the_targets_of_every_average_of_the_paper_are_known():
    figures = read_published(str(EXAMPLES / "paper_results.csv"))
    known = known_targets(figures)
    assert len(known) == len({(f.group, f.task, f.source) for f in figures}) == 39
    assert all(source not in targets for (*_, source), targets in known.items())


def test_two_tables_of_the_same_averages_are_each_held_to_their_own_cells(tmp_path):
    lines = ["g,T1,bible,top10,m,eng_Latn,fas_Arab,40.0", "g,T1,bible,top10,m,eng_Latn,mean,40.06"]
    lines += ["g,T1,ner,f1,m,eng_Latn,fas_Arab,40.0", "g,T1,ner,f1,m,eng_Latn,mean,40.07"]
    figures = read(tmp_path, "\n".join([HEADER, *lines, "g,T2,bible,top10,m,eng_Latn,mean,90", ""]))
    (found,) = differing_averages(figures)
    assert (found.printed.task, found.elsewhere) == ("ner", ())
    assert known_targets(figures) == {("g", "bible", "top10", "", "eng_Latn"): ["fas_Arab"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no published figures"),
        (HEADER + "\n", "holds no published figures"),
        ("group,table\n", "line 1: the columns have to be group,table,task"),
        (FIGURES + "a,b\n", "line 8: 2 fields, 8 columns"),
        (FIGURES + "g,t,bible,top10,m,eng_Latn,,3\n", "line 8: target is empty"),
        (FIGURES + "g,t,bible,top10,m,english,mean,3\n", "line 8: source 'english' is not a language code"),
        (FIGURES + "g,t,bible,top10,m,mean,mean,3\n", "line 8: source 'mean' is not a language code"),
        (FIGURES + "g,t,bible,top10,m,eng_Latn,average,3\n", "line 8: target 'average' is not a language code"),
        (FIGURES + "g,t,bible,top10,m,eng_Latn,mean,high\n", "line 8: value 'high' is not a percentage"),
        (FIGURES + "g,t,bible,top10,m,eng_Latn,mean,nan\n", "line 8: value 'nan' is not a percentage"),
        (FIGURES + "g,t,bible,top10,m,eng_Latn,mean,100.1\n", "line 8: value '100.1' is not a percentage"),
        (FIGURES + FIGURES.splitlines()[3] + "\n", "line 8: the figure of line 4 again"),
        (FIGURES + '"g,t\n', "line 8: not a line of CSV"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, text, says):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert says in str(error.value)
    assert str(tmp_path / "paper.csv") in str(error.value)


def test_columns_may_stand_in_any_order(tmp_path):
    names = sorted(FIELDS)
    values = dict(zip(FIELDS, ("g", "t", "bible", "top10", "m", "pes_Arab", "mean", "12.5"), strict=True))
    (figure,) = read(tmp_path, "\ufeff" + ",".join(names) + "\r\n" + ",".join(values[n] for n in names) + "\r\n")
    assert figure.source == "fas_Arab"
    assert figure.value == 0.125


def grids(measured, published, groups):
    return [comparison.grid() for comparison in comparisons(measured, published, groups)]


def run() -> Measured:
    values = {"fas_Arab": 0.5, "ell_Grek": 0.3, "heb_Hebr": 0.4, "tur_Latn": 0.99}
    results = [result("base", target, value) for target, value in values.items()]
    return Measured([*results, result("mine", "fas_Arab", 0.7), result("mine", "ell_Grek", 0.1)])


def test_cell_by_cell(tmp_path):
    (grid,) = grids(run(), read(tmp_path, FIGURES), GROUP)
    assert grid.title == "My-Group, Table 2: bible, top10"
    assert grid.columns == ("eng_Latn", "ell_Grek")
    rows = {row.labels: tuple(cell.text for cell in row.cells) for row in grid.rows}
    assert rows == {
        ("fas_Arab", "base", "published"): ("40.0", "–"),
        ("fas_Arab", "base", "this run"): ("50.0", "–"),
        ("fas_Arab", "base", "difference"): ("+10.0", "–"),
        ("fas_Arab", "mine", "this run"): ("70.0", "–"),
        # over fas_Arab and ell_Grek: `mine` lacks heb_Hebr, and tur_Latn is not of the group
        ("mean", "base", "published"): ("41.5", "10.0"),
        ("mean", "base", "this run"): ("40.0", "–"),
        ("mean", "base", "difference"): ("−1.5", "–"),
        ("mean", "theirs", "published"): ("60.0", "–"),
        ("mean", "mine", "this run"): ("40.0", "–"),
    }
    assert any("eng_Latn 2" in note for note in grid.notes)


def test_a_group_that_the_run_does_not_have_is_said(tmp_path):
    (grid,) = grids(run(), read(tmp_path, FIGURES), [Group("another", ("fas_Arab",))])
    assert {row.labels[2] for row in grid.rows} == {"published"}
    assert "--groups has no group My-Group: nothing of this run stands here." in grid.notes


def test_without_groups_all_languages_are_compared(tmp_path):
    (grid,) = grids(run(), read(tmp_path, FIGURES), [EVERYTHING])
    assert any(row.labels == ("mean", "mine", "this run") for row in grid.rows)
    assert any("all languages of the run" in note for note in grid.notes)


def test_differences_have_a_sign():
    assert [signed(v) for v in (0.1, -0.1, 0.0001, -0.0001, 0, None)] == ["+10.0", "−10.0", "0.0", "0.0", "0.0", "–"]
    assert not re.search("-", signed(-0.5))


def test_a_mean_over_the_source_itself_is_said(tmp_path):
    published = read(tmp_path, FIGURES)
    own = [result(source="ell_Grek", target=target, value=0.5) for target in ("ell_Grek", "fas_Arab")]
    (grid,) = grids(Measured([*own, result()]), published, GROUP)
    assert "One of them is the source itself, which is no transfer, from: ell_Grek." in grid.notes
    (grid,) = grids(Measured([own[1], result()]), published, GROUP)
    assert not any("itself" in note for note in grid.notes)


COMPLETE = f"""\
{HEADER}
my_group,Table 2,bible,top10,Base,eng_Latn,fas_Arab,40.0
my_group,Table 2,bible,top10,Base,eng_Latn,ell_Grek,20.0
my_group,Table 2,bible,top10,Base,eng_Latn,heb_Hebr,30.0
my_group,Table 2,bible,top10,Base,eng_Latn,mean,30.0
my_group,Table 4,bible,top10,MLM+SEQ,eng_Latn,mean,55.5
my_group,Table 7,bible,top10,MLM+SEQ,eng_Latn,fas_Arab,60.0
my_group,Table 7,bible,top10,MLM+SEQ,eng_Latn,ell_Grek,50.0
my_group,Table 7,bible,top10,MLM+SEQ,eng_Latn,heb_Hebr,40.0
my_group,Table 7,bible,top10,MLM+SEQ,eng_Latn,mean,55.5
"""


def texts(grid):
    return {row.labels: row.cells[0].text for row in grid.rows}


def partial() -> Measured:
    """Without heb_Hebr, with a target that the paper does not have, and with a model that it does not have."""
    values = {"fas_Arab": 0.5, "ell_Grek": 0.204, "eng_Latn": 0.9}
    results = [result("base", target, value) for target, value in values.items()]
    results += [result("mlm_seq", "fas_Arab", 0.61), result("mlm_seq", "ell_Grek", 0.5)]
    return Measured([*results, result("mine", "fas_Arab", 0.1)])


def test_means_are_compared_over_the_same_targets(tmp_path):
    averages, own = read(tmp_path, COMPLETE), [EVERYTHING]
    table_2, table_4, table_7 = grids(partial(), averages, own)
    assert texts(table_2) == {
        ("fas_Arab", "Base", "published"): "40.0",
        ("fas_Arab", "Base", "this run"): "50.0",
        ("fas_Arab", "Base", "difference"): "+10.0",
        ("fas_Arab", "mine", "this run"): "10.0",
        ("ell_Grek", "Base", "published"): "20.0",
        ("ell_Grek", "Base", "this run"): "20.4",
        ("ell_Grek", "Base", "difference"): "+0.4",
        ("heb_Hebr", "Base", "published"): "30.0",
        ("heb_Hebr", "Base", "this run"): "–",
        ("mean", "Base", "published"): "30.0",
        ("mean", "Base", "recomputed"): "30.0",
        ("mean", "Base", "this run"): "35.2",
        ("mean", "Base", "difference"): "+5.2",
    }
    assert "Targets in this run's means (that none of the models of both lacks): eng_Latn 2 of 3." in table_2.notes
    assert not any("all languages" in note for note in table_2.notes)
    # the cells of Table 4's averages stand in Table 7
    expected = {"published": "55.5", "recomputed": "55.0", "this run": "55.5", "difference": "+0.5"}
    assert texts(table_4) == {("mean", "MLM+SEQ", label): text for label, text in expected.items()}
    assert texts(table_4).items() <= texts(table_7).items()
    assert "This run's mlm_seq stands as MLM+SEQ." in table_4.notes


def test_differences_of_more_than_a_point_are_bold_and_doubtful_averages_marked(tmp_path):
    table_2, _, table_7 = grids(partial(), read(tmp_path, COMPLETE), [EVERYTHING])
    bold = {row.labels for row in table_2.rows if row.cells[0].bold}
    assert bold == {("fas_Arab", "Base", "difference"), ("mean", "Base", "difference")}
    assert "Bold: a difference of more than 1 point." in table_2.notes
    assert not any(row.cells[0].mark for row in table_2.rows)
    assert {row.labels for row in table_7.rows if row.cells[0].mark} == {("mean", "MLM+SEQ", "published")}
    assert any(note.startswith("† An average that does not follow") for note in table_7.notes)


@pytest.mark.parametrize(("value", "bold"), [(0.0104, False), (-0.0104, False), (0.0106, True), (-0.0106, True)])
def test_equal_as_printed_are_bold_alike(value, bold):
    assert difference_cell(value).bold is bold


def test_differences_of_means_at_a_glance(tmp_path):
    (grid,) = summary(comparisons(partial(), read(tmp_path, COMPLETE), [EVERYTHING]))
    assert texts(grid) == {("Base",): "+5.2", ("MLM+SEQ",): "+0.5"}
    assert grid.spans == (("bible, top10", 1),)


def test_a_run_without_the_papers_models_has_nothing_to_compare(tmp_path):
    found = comparisons(Measured([result("mine")]), read(tmp_path, COMPLETE), [EVERYTHING])
    assert summary(found) == []
    table_2, table_4, _ = (comparison.grid() for comparison in found)
    assert texts(table_2)["fas_Arab", "mine", "this run"] == "50.0"
    assert texts(table_4) == {("mean", "MLM+SEQ", "published"): "55.5", ("mean", "MLM+SEQ", "recomputed"): "50.0"}
    assert "This run has no model of these names with figures here: MLM+SEQ." in table_4.notes
