"""Published figures: the file that ships, what is wrong in one, and the comparison cell by cell."""

import re
from pathlib import Path

import pytest
from made_up_results import result

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, read_groups
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.published import FIELDS, comparisons, read_published, signed

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
    groups = read_groups(str(EXAMPLES / "paper_groups.yaml"))
    assert {figure.group for figure in figures} == {group.name for group in groups}
    assert len(figures) == 2 * 4 * 5
    assert {figure.target for figure in figures} == {"mean"}
    assert {(f.task, f.metric) for f in figures} == {("bible", "top10")}
    by_place = {(f.group, f.model, f.source): f.value for f in figures}
    assert by_place["mediterranean_amharic_farsi", "MLM+SEQ+TLM", "fas_Arab"] == pytest.approx(0.727)
    assert by_place["south_east_asian", "Glot500", "eng_Latn"] == pytest.approx(0.394)
    comments = [line for line in (EXAMPLES / "paper_results.csv").read_text().splitlines() if line.startswith("#")]
    assert any("Not here" in line and "Tables 2 and 3" in line for line in comments)


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


def run() -> Measured:
    values = {"fas_Arab": 0.5, "ell_Grek": 0.3, "heb_Hebr": 0.4, "tur_Latn": 0.99}
    results = [result("base", target, value) for target, value in values.items()]
    return Measured([*results, result("mine", "fas_Arab", 0.7), result("mine", "ell_Grek", 0.1)])


def test_cell_by_cell(tmp_path):
    (grid,) = comparisons(run(), read(tmp_path, FIGURES), GROUP)
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
    (grid,) = comparisons(run(), read(tmp_path, FIGURES), [Group("another", ("fas_Arab",))])
    assert {row.labels[2] for row in grid.rows} == {"published"}
    assert "--groups has no group My-Group: nothing of this run stands here." in grid.notes


def test_without_groups_all_languages_are_compared(tmp_path):
    (grid,) = comparisons(run(), read(tmp_path, FIGURES), [EVERYTHING])
    assert any(row.labels == ("mean", "mine", "this run") for row in grid.rows)
    assert any("all languages of the run" in note for note in grid.notes)


def test_differences_have_a_sign():
    assert [signed(v) for v in (0.1, -0.1, 0.0001, -0.0001, 0, None)] == ["+10.0", "−10.0", "0.0", "0.0", "0.0", "–"]
    assert not re.search("-", signed(-0.5))


def test_a_mean_over_the_source_itself_is_said(tmp_path):
    published = read(tmp_path, FIGURES)
    own = [result(source="ell_Grek", target=target, value=0.5) for target in ("ell_Grek", "fas_Arab")]
    (grid,) = comparisons(Measured([*own, result()]), published, GROUP)
    assert "One of them is the source itself, which is no transfer, from: ell_Grek." in grid.notes
    (grid,) = comparisons(Measured([own[1], result()]), published, GROUP)
    assert not any("itself" in note for note in grid.notes)
