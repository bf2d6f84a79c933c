"""The paper's tables: every cell equal to a plain recomputation from the results, emphasis, means, choices."""

import csv
import io
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import GROUPS, SOURCES, matrix, result

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.grid import Cell, Grid, Row, Section, shown_labels, slug, with_unique_names
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, read_groups, sources_of
from ppa_plugin.evaluation.report.measured import Column, Measured, for_tables, one_layer
from ppa_plugin.evaluation.report.pages.long_csv import FIELDS, to_csv
from ppa_plugin.evaluation.report.paper_tables import (
    ALL,
    SHARED,
    average_table,
    best,
    main_blocks,
    main_table,
    other_blocks,
)

MODELS = ("base", "aligned", "other")
GROUP_LIST = [Group(name, tuple(languages)) for name, languages in GROUPS.items()]


@pytest.fixture(scope="module")
def results():
    return matrix()


@pytest.fixture(scope="module")
def blocks(results):
    measured = Measured(results, "base")
    return measured, {block.name: block for group in GROUP_LIST for block in main_blocks(measured, group, GROUP_LIST)}


def values(results, **wanted) -> list[float]:
    """What a reader with a text editor would find: values by the fields asked for."""
    return [r.value for r in results if all(getattr(r, name) == value for name, value in wanted.items())]


def by_labels(grid) -> dict[tuple, tuple]:
    return {row.labels: row.cells for row in grid.rows}


def test_every_cell_is_the_mean_over_seeds_with_their_spread(results, blocks):
    measured, found = blocks
    assert sorted(found) == ["asia_retrieval", "asia_tagging", "med_retrieval", "med_tagging"]
    seen = 0
    for name, block in found.items():
        cells = by_labels(main_table(measured, block))
        for target in GROUPS[name.split("_")[0]]:
            for model in MODELS:
                for place, column in enumerate(block.columns):
                    wanted = values(results, model=model, target=target, **column._asdict())
                    if (target, model) not in cells:
                        assert not wanted
                        continue
                    cell = cells[target, model][place]
                    assert cell.text == (f"{100 * fmean(wanted):.1f}" if wanted else "–")
                    assert cell.spread == (f"{100 * stdev(wanted):.1f}" if len(wanted) > 1 else "")
                    seen += 1
    assert seen == 2 * (3 * 7 * 2) - 2  # `other` has no row for heb_Hebr in retrieval


def test_columns_are_tasks_and_scripts_and_rows_keep_the_groups_order(blocks):
    measured, found = blocks
    grid = main_table(measured, found["med_tagging"])
    assert grid.columns == ("Latn", "Arab")
    assert grid.spans == (("ner, span_micro_f1", 2),)
    assert grid.notes[0] == "Sources: Latn = eng_Latn; Arab = fas_Arab."
    targets = dict.fromkeys(row.labels[0] for row in grid.rows)
    assert list(targets) == [*GROUPS["med"], ALL]
    assert {row.labels[1] for row in grid.rows} == {*MODELS, "targets"}


def test_means_are_over_targets_that_no_model_lacks(results, blocks):
    measured, found = blocks
    cells = by_labels(average_table(measured, found["med_retrieval"], "base"))
    for place, source in enumerate(SOURCES["med"]):
        own = [t for t in GROUPS["med"] if t not in (source, "heb_Hebr")]
        assert cells[ALL, "targets"][place].text == str(len(own))
        shared = ["ell_Grek", "tur_Latn"]
        assert cells[SHARED, "targets"][place].text == "2"
        for label, targets in ((ALL, own), (SHARED, shared)):
            for model in MODELS:
                wanted = [
                    v for t in targets for v in values(results, model=model, source=source, target=t, metric="top10")
                ]
                assert len(wanted) == len(targets)
                assert cells[label, model][place].text == f"{100 * fmean(wanted):.1f}"
    # sources with different targets do not compare, those over the shared ones do
    assert not any(cell.underline for label, row in cells.items() if label[0] == ALL for cell in row)
    assert any(cell.underline for label, row in cells.items() if label[0] == SHARED for cell in row)


def test_a_mean_over_the_source_itself_is_said(results, blocks):
    measured, found = blocks
    said = "A mean includes the source itself, which is no transfer, from: fas_Arab (ner)."
    for table in (main_table(measured, found["med_tagging"]), average_table(measured, found["med_tagging"], "base")):
        assert said in table.notes
        assert by_labels(table)[ALL, "targets"][1].text == str(len(GROUPS["med"]))  # it is one of them
    assert not any("itself" in note for note in main_table(measured, found["med_retrieval"]).notes)


def test_the_spread_of_a_mean_is_over_seeds(results, blocks):
    measured, found = blocks
    cells = by_labels(average_table(measured, found["asia_tagging"], None))
    assert (SHARED, "base") not in cells  # the same targets: once is enough
    for place, source in enumerate(SOURCES["asia"]):
        means = [
            fmean(values(results, model="base", task="ner", source=source, seed=s, target=t)[0] for t in GROUPS["asia"])
            for s in (42, 43, 44)
        ]
        assert cells[ALL, "base"][place].text == f"{100 * fmean(means):.1f}"
        assert cells[ALL, "base"][place].spread == f"{100 * stdev(means):.1f}"


def test_the_number_of_seeds_is_said(results, blocks):
    measured, found = blocks
    assert "Seeds a cell: ner 3." in main_table(measured, found["med_tagging"]).notes
    assert not any("Seeds" in note for note in main_table(measured, found["med_retrieval"]).notes)
    fewer = Measured([r for r in results if r.seed != 44 or r.model != "other"])
    (block,) = [b for b in main_blocks(fewer, GROUP_LIST[0], GROUP_LIST) if b.name == "med_tagging"]
    assert "Seeds a cell: ner 2 to 3." in main_table(fewer, block).notes


def test_best_model_of_a_column_and_best_source_of_a_model(blocks):
    measured, found = blocks
    for block in found.values():
        grid = main_table(measured, block)
        cells = {labels: row for labels, row in by_labels(grid).items() if labels[0] in block.targets}
        for (target, model), row in cells.items():
            for place, cell in enumerate(row):
                if cell.text == "–":
                    assert not cell.bold
                    assert not cell.underline
                    continue
                rivals = [cells[target, m][place].text for m in MODELS if (target, m) in cells]
                rivals = [float(text) for text in rivals if text != "–"]
                assert cell.bold == (len(rivals) > 1 and float(cell.text) == max(rivals)), (target, model, place)
                shown = [float(other.text) for other in row if other.text != "–"]
                assert cell.underline == (len(shown) > 1 and float(cell.text) == max(shown))


def test_what_prints_the_same_is_equally_good():
    assert best({"a": 0.50004, "b": 0.49996, "c": 0.4}, lambda key: None) == {"a", "b"}
    assert best({"a": 0.5}, lambda key: None) == set()
    assert best({}, lambda key: None) == set()


@given(st.dictionaries(st.integers(0, 20), st.integers(0, 1000), min_size=2))
def test_best_is_the_maximum(figures):
    shares = {key: value / 1000 for key, value in figures.items()}
    assert best(shares, lambda key: None) == {k for k, v in figures.items() if v == max(figures.values())}


def test_other_metrics_have_tables_of_their_own(blocks):
    measured, _ = blocks
    (block,) = other_blocks(measured, GROUP_LIST[0], GROUP_LIST)
    assert {column.metric for column in block.columns} == {"top1"}


def test_two_sources_of_one_script_go_by_their_codes():
    measured = Measured([result(source=source, data_sha256=source) for source in ("eng_Latn", "tur_Latn", "kor_Hang")])
    (block,) = main_blocks(measured, EVERYTHING, [EVERYTHING])
    grid = main_table(measured, block)
    assert grid.columns == ("eng_Latn", "tur_Latn", "Hang")
    assert not any(cell.bold for row in grid.rows for cell in row.cells)  # one model is not the best of any


def test_an_unknown_task_gets_a_table_of_its_own():
    measured = Measured([result(task="xnli", metric="accuracy"), result()])
    names = [block.name for block in main_blocks(measured, EVERYTHING, [EVERYTHING])]
    assert names == ["all-languages_retrieval", "all-languages_xnli"]


def test_the_csv_has_a_line_a_cell(results):
    outside = result(target="deu_Latn", source="fra_Latn", value=0.25, n=7, data_sha256="sha")
    lines = list(csv.DictReader(io.StringIO(to_csv(Measured([*results, outside]), GROUP_LIST))))
    assert tuple(lines[0]) == FIELDS
    assert len(lines) == len({(r.model, r.task, r.metric, r.source, r.target) for r in results}) + 1
    for line in lines[1:]:
        fields = {name: line[name] for name in ("model", "task", "metric", "source", "target")}
        found = values(results, **fields)
        assert float(line["mean"]) == pytest.approx(fmean(found), abs=1e-6)
        assert line["std"] == (f"{stdev(found):.6f}" if len(found) > 1 else "")
        assert (int(line["seeds"]), line["n"]) == (len(found), "500")
        assert line["target"] in GROUPS[line["group"]]
    assert lines[0] == dict(
        zip(
            FIELDS, ("", "bible", "top10", "fra_Latn", "deu_Latn", "base", "0.250000", "", "1", "7", "sha"), strict=True
        )
    )


def test_of_a_series_of_checkpoints_the_last_one_stands():
    series = [result(value=step / 10, config={"step": step}) for step in (3, 1, 2)]
    chosen, notes = for_tables(series)
    assert chosen == series[:1]
    assert notes == ["base was measured at several steps on bible; the tables show step 3."]
    chosen, notes = for_tables([*series, result(value=0.9)])
    assert [r.value for r in chosen] == [0.9]
    assert notes == ["base was measured at several steps on bible; the tables show the result without a step."]


def test_of_a_sweep_over_layers_the_papers_stands():
    sweep = [result(layer=layer, value=layer / 100) for layer in range(13)]
    chosen, notes = for_tables([*sweep, result("one", layer=3), result(task="ner", layer=None)])
    assert [r.layer for r in chosen] == [8, 3, None]
    assert notes == ["base was measured at 13 layers (0 to 12) on bible; the tables show layer 8."]
    chosen, notes = for_tables([*sweep, result("one", layer=3)], layer=5)
    assert [r.layer for r in chosen] == [5, 3]
    assert notes[1] == "one was measured at layer 3 on bible; the tables show layer 3."
    two = [result(layer=8), result(layer=12)]
    assert for_tables(two) == (two, [])  # a comparison, not a sweep
    assert one_layer(two) == two[:1]


def test_groups_of_a_file(tmp_path):
    path = tmp_path / "groups.yaml"
    path.write_text("one: [pes_Arab, tur_Latn]\ntwo:\n  - kor_Hang\n")
    groups = read_groups(str(path))
    assert groups == [Group("one", ("fas_Arab", "tur_Latn")), Group("two", ("kor_Hang",))]
    # English belongs to no group: a source of both; a group's own sources are not the other's
    found = ["kor_Hang", "eng_Latn", "fas_Arab"]
    assert sources_of(groups[0], groups, found) == ["eng_Latn", "fas_Arab"]
    assert sources_of(groups[1], groups, found) == ["eng_Latn", "kor_Hang"]
    assert sources_of(EVERYTHING, [EVERYTHING], found) == ["eng_Latn", "fas_Arab", "kor_Hang"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "has to map names of groups"),
        ("", "has to map names of groups"),
        ("a: [x\nb: ]]", "is not valid YAML: while parsing"),
        ("a: tur_Latn", "group a has to be a list"),
        ("a: [turkish]", "group a: 'turkish' is not a language code"),
        ("a: [1]", "group a: 1 is not a language code"),
    ],
)
def test_a_bad_group_is_named(tmp_path, text, says):
    path = tmp_path / "groups.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_groups(str(path))
    assert says in str(error.value)
    assert str(path) in str(error.value)


def test_measured_refuses_two_versions_of_the_data():
    with pytest.raises(UserError, match="data_sha256 differs"):
        Measured([result(), result("aligned", data_sha256="other")])


def test_of_two_values_of_one_measurement_the_mean_counts_in_every_table():
    measured = Measured([result(value=0.1, seed=42), result(value=0.3, seed=43), result(value=0.2, seed=42)])
    cell = measured.cell("base", Column("bible", "top10", "eng_Latn"), "fas_Arab")
    assert cell.values == pytest.approx({42: 0.15, 43: 0.3})


def test_labels_stand_once():
    rows = (Row(("a", "x"), (), rule=True), Row(("a", "y"), ()), Row(("b", "y"), ()), Row(("b", "x"), (), rule=True))
    assert shown_labels(rows) == [("a", "x"), ("", "y"), ("b", "y"), ("b", "x")]


def test_what_shares_a_name_is_renamed():
    grids = [Grid(name, "t", (), (), ()) for name in ("a", "b", "A", "a")]
    first, second = with_unique_names([Section("s", tuple(grids[:3])), Section("s", ("text", grids[3]))])
    assert [block.name for block in first.blocks] == ["a", "b", "A_2"]
    assert second.blocks[0] == "text"
    assert second.blocks[1].name == "a_3"


def test_names_of_files_lead_nowhere_else():
    assert slug("a/b", "../c", "", "d e") == "a-b_..-c_d-e"
    assert slug("..") == "unnamed"
    assert Cell().text == "–"
    assert Grid("n", "t", (), (), ()).notes == ()
