"""What was measured differently is never mixed: rows of its own, no gain, and the order of results decides nothing."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_results import GROUPS, matrix, result
from running import exit_code

from ppa_plugin.evaluation import report
from ppa_plugin.evaluation.report.groups import EVERYTHING
from ppa_plugin.evaluation.report.measured import Column, Measured, for_tables
from ppa_plugin.evaluation.report.methods import method_tables, no_gains, warnings
from ppa_plugin.evaluation.report.pages.long_csv import to_csv
from ppa_plugin.evaluation.report.paper_tables import average_table, main_blocks, main_table
from ppa_plugin.evaluation.results import append_results
from ppa_plugin.evaluation.tables import pivot, to_text
from ppa_plugin.evaluation.tasks import TASKS, UNNAMED
from ppa_plugin.evaluation.variants import distinct, natural, remarks, row_names, variant_of, way_of

TARGETS = ("ell_Grek", "heb_Hebr")


def tuned(seeds, rate, value, model="base", **changes):
    """One cell each of two targets, fine-tuned."""
    config = {"learning_rate": rate, "epochs": 40, "best_epoch": seeds[0], "device": "cpu", **changes}
    kind = {"task": "sib200", "metric": "macro_f1", "layer": None, "pool": None, "config": config}
    return [result(model, target, value, seed=seed, **kind) for seed in seeds for target in TARGETS]


def rows_of(results) -> dict[str, dict[str, float]]:
    (table,) = pivot(results, "model")
    return {column: {target: values.get(column) for target, values in table.values.items()} for column in table.columns}


def test_seeds_of_two_recipes_are_two_rows():
    results = tuned((42, 43, 44), 1e-5, 0.3) + tuned((45, 46), 5e-5, 0.7)
    measured = Measured(results)
    assert measured.models == ["base (learning_rate 1e-05)", "base (learning_rate 5e-05)"]
    cells = [measured.cell(model, Column("sib200", "macro_f1", "eng_Latn"), "ell_Grek") for model in measured.models]
    assert [sorted(cell.values) for cell in cells] == [[42, 43, 44], [45, 46]]
    assert [cell.mean for cell in cells] == pytest.approx([0.3, 0.7])
    assert rows_of(results)["base (learning_rate 5e-05)"] == pytest.approx({"ell_Grek": 0.7, "heb_Hebr": 0.7})
    (said,) = remarks(results)
    assert said.startswith("Not all of sib200 was measured in the same way: learning_rate 1e-05 (base); ")


@pytest.mark.parametrize("first", [{"max_length": 512}, {}])
def test_one_cell_measured_twice_differently_is_two_rows(first):
    results = [result(value=0.2, config=first), result(value=0.25, config={"max_length": 64})]
    name = "base (max_length 512)" if first else "base (no max_length)"
    assert (
        rows_of(results)
        == rows_of(results[::-1])
        == {
            name: {"fas_Arab": 0.2},
            "base (max_length 64)": {"fas_Arab": 0.25},
        }
    )


def test_romanized_text_is_of_its_romanizer():
    """Before there was a choice results say `input` alone, and were romanized by uroman."""
    latn = {"input": "latn"}
    results = [result(value=0.2, config=latn), result(value=0.4, config={**latn, "romanizer": "pypinyin 0.55.0"})]
    rows = {"base (romanizer uroman)": {"fas_Arab": 0.2}, "base (romanizer pypinyin 0.55.0)": {"fas_Arab": 0.4}}
    assert rows_of(results) == rows_of(results[::-1]) == rows
    assert rows_of([result(value=0.1), results[0]]) == {
        "base (no input)": {"fas_Arab": 0.1},
        "base (input latn)": {"fas_Arab": 0.2},
    }
    names = set(rows_of([result(value=0.1), *results]))
    assert names == {
        "base (no input, no romanizer)",
        "base (input latn, romanizer uroman)",
        "base (input latn, romanizer pypinyin 0.55.0)",
    }
    (said,) = remarks(results)
    assert "romanizer uroman (base); romanizer pypinyin 0.55.0 (base)" in said


@pytest.mark.parametrize(
    "changes", [{"layer": 3}, {"pool": "content"}, {"config": {"max_length": 64}}, {"config": {"precision": "fp16"}}]
)
def test_no_gain_and_no_mark_between_what_was_measured_differently(changes):
    targets = [f"{language}_Latn" for language in ("tur", "deu", "fra", "spa", "ita", "por", "ron", "cat", "swe")]
    results = [result("base", t, 0.2) for t in targets]
    results += [result("aligned", t, 0.5 + i / 100, **changes) for i, t in enumerate(targets)]
    alike = [result("fair", t, 0.5 + i / 100) for i, t in enumerate(targets)]
    measured = Measured(results + alike, "base")
    assert measured.counterpart("aligned", "base", "bible") is None
    assert measured.counterpart("fair", "base", "bible") == "base"
    (block,) = main_blocks(measured, EVERYTHING, [EVERYTHING])
    marks = {row.labels: row.cells[0].mark for row in average_table(measured, block, "base").rows}
    assert (marks["mean", "aligned"], marks["mean", "fair"]) == ("", "‡")
    assert no_gains(measured, "base") == [
        "No gain over base on bible for aligned: no single row of it was measured alike."
    ]
    assert len(remarks(results + alike)) == 1


def test_gains_are_over_the_baseline_as_it_was_measured_for_each():
    results = [result(model, layer=layer) for model in ("base", "aligned") for layer in (8, 12)]
    measured = Measured([*results, result("other", layer=12)], "base")
    assert measured.models[:2] == ["base (layer 8, all)", "base (layer 12, all)"]
    assert measured.counterpart("aligned (layer 12, all)", "base", "bible") == "base (layer 12, all)"
    assert measured.counterpart("other", "base", "bible") == "base (layer 12, all)"
    assert measured.counterpart("other", "base (layer 8, all)", "bible") is None
    assert measured.counterpart("base (layer 8, all)", "base", "bible") is None
    assert no_gains(measured, "base") == []


def test_a_baseline_that_is_two_sets_of_weights_is_said_and_one_of_them_can_be_named():
    results = [result("base", value=value, model_sha256=sha * 64) for sha, value in (("a", 0.2), ("b", 0.4))]
    rows = ["base (weights aaaaaaaaaaaa)", "base (weights bbbbbbbbbbbb)"]
    assert no_gains(Measured(results, "base"), "base") == [
        f"No gain over base on bible: it is {rows[0]} and {rows[1]} there; pass one of these as --baseline."
    ]
    measured = Measured(results, rows[1])
    assert measured.models == pivot(results, "model", rows[1])[0].columns == rows[::-1]
    assert measured.counterpart(rows[0], rows[1], "bible") == rows[1]
    assert no_gains(measured, rows[1]) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"device": "cpu", "torch": "2.13"}, {"device": "cuda", "torch": "2.14", "transformers": "5.0"}),
        ({"batch_size": 64, "max_tokens": 4096}, {"batch_size": 8}),
        ({"cell": "0123", "cell_lines": 3}, {}),
        ({"max_length": 512}, {"max_length": 512.0}),
        ({"precision": "fp32"}, {}),  # as results from before there was another one have it
    ],
)
def test_what_is_no_difference(first, second):
    assert way_of(result(config=first)) == way_of(result(config=second, version="9", model_path="elsewhere"))
    assert remarks([result(config=first), result("aligned", config=second)]) == []


def test_what_is_none_depends_on_the_task():
    (sib, _), (other, _) = tuned((42,), 1e-5, 0.3, batch_size=32), tuned((42,), 1e-5, 0.3, batch_size=16)
    assert way_of(sib) != way_of(other)
    assert way_of(sib) == way_of(dataclasses.replace(sib, config=sib.config | {"precision": "fp16", "dev_score": 0.1}))
    pos = {"task": "pos", "layer": None, "pool": None}
    assert way_of(result(config={}, **pos)) == way_of(result(config={"raw_words": True}, **pos))
    assert way_of(result(config={}, **pos)) != way_of(result(config={"raw_words": False}, **pos))


@pytest.mark.parametrize("task", ["sib200", "ner", "pos"])
def test_fine_tuning_from_before_there_was_the_papers_is_another_measurement(task):
    """Unless it is asked for: results of then do not name what there was no other way for."""
    recipe = TASKS[task].recipe
    now = dataclasses.asdict(recipe) | {"best_step": 7}
    before = {key: value for key, value in now.items() if key not in (*UNNAMED, "best_step")}
    kind = {"layer": None, "pool": None, "metric": TASKS[task].metrics[0]}
    old, new, again = (result(task=task, config=config, **kind) for config in (before, now, now | UNNAMED))
    assert way_of(old) == way_of(again) != way_of(new)
    assert len(Measured([old, new]).models) == 2
    assert Measured([old, again]).models == ["base"]
    (said,) = remarks([old, new])
    assert "optim adamw_torch (base)" in said
    assert "optim adamw_hf (base)" in said


def test_two_sets_of_weights_under_one_name_are_two_rows():
    results = [result(value=0.1), result(value=0.9, model_sha256="b" * 64)]
    assert (
        rows_of(results)
        == rows_of(results[::-1])
        == {
            f"base (weights {'a' * 12})": {"fas_Arab": 0.1},
            f"base (weights {'b' * 12})": {"fas_Arab": 0.9},
        }
    )


def test_a_measurement_repeated_with_another_value_is_said():
    results = [result(value=0.1), result(value=0.1), result(value=0.25), result("aligned")]
    assert remarks(results[1:2] * 3) == []
    (said,) = remarks(results)
    assert said == remarks(results[::-1])[0]
    assert "base was measured more than once in the same way on bible" in said
    assert "1 cell, as in eng_Latn to fas_Arab, top10: 10.00 to 25.00" in said


def test_rows_have_different_names_however_models_are_called():
    results = [result(config={"a": n}) for n in (1, 2)] + [result("base (a 1)", config={"a": 1})]
    names = row_names(("bible", variant_of(r)) for r in results)
    assert len(set(names.values())) == 3
    many = [result(config=dict.fromkeys("abcd", n) | {"e": "x" * 99}) for n in (1, 2)]
    assert all(len(name) < 40 for name in row_names(("bible", variant_of(r)) for r in many).values())


def test_numbers_in_names_sort_by_size():
    names = ["m12", "m2", "M2 b", "a", "m02", "m", "7", "m" + "9" * 5000]
    assert sorted(names, key=natural)[:4] == ["7", "a", "m", "m02"]
    assert sorted(["step 1000", "step 200", "step 0"], key=natural) == ["step 0", "step 200", "step 1000"]


def everything() -> list:
    """Results of every kind that there may be several of."""
    results = [r for r in matrix(seeds=(42, 43)) if r.target in GROUPS["med"]]
    results += tuned((42, 43, 44), 1e-5, 0.3) + tuned((45, 46), 5e-5, 0.7) + tuned((42,), 1e-5, 0.5, "aligned")
    changes = {"source": "eng_Latn", "target": "tur_Latn", "data_sha256": "eng_Latn tur_Latn"}
    results += [result("aligned", value=layer / 20, layer=layer, **changes) for layer in range(12) if layer != 8]
    results += [result("run", value=step / 9, config={"step": step}, **changes) for step in (1, 2, 3)]
    results += [result("run", value=0.123, config={"step": 2, "max_length": 64}, **changes)]
    results += [result("base", value=value, **changes) for value in (0.2, 0.3, 0.7)]
    results += [result("base", value=0.4, model_sha256="b" * 64, **changes), result("base", n=400, **changes)]
    return results


def described(results) -> str:
    """All that a report says in text."""
    chosen, notes = for_tables(results)
    measured = Measured(chosen, "base")
    said = [*notes, *warnings(results), *remarks(chosen), *no_gains(measured, "base")]
    said += [to_text(table) for table in pivot(chosen, "model", "base")]
    for block in main_blocks(measured, EVERYTHING, [EVERYTHING]):
        said += [repr(main_table(measured, block)), repr(average_table(measured, block, "base"))]
    return "\n".join([*said, to_csv(measured, [EVERYTHING]), *map(repr, method_tables(results))])


EXPECTED = described(everything())


@given(st.permutations(everything()))
@settings(max_examples=15, deadline=None)
def test_the_order_of_results_decides_nothing(results):
    assert described(results) == EXPECTED
    assert distinct(results) == distinct(everything())


def test_the_order_of_files_decides_no_byte_of_the_report(tmp_path, capsys):
    results = [r for r in everything() if r.metric != "top1" and r.source == "eng_Latn"]
    parts = [results[::3], results[1::3], results[2::3]]
    made = []
    for number, order in enumerate((parts, [part[::-1] for part in parts[::-1]])):
        for name, part in zip("abc", order, strict=True):
            append_results(tmp_path / str(number) / f"{name}.jsonl", part)
        files = [tmp_path / str(number) / f"{name}.jsonl" for name in "abc"]
        output = tmp_path / str(number) / "out"
        assert exit_code(report.main, *files, *files[:1], "--baseline", "base", "--output", output) == 0
        said = capsys.readouterr()
        written = {p.relative_to(output): p.read_bytes() for p in output.rglob("*") if p.is_file()}
        made.append((written, said.out.replace(str(output), ""), said.err))
    assert made[0] == made[1]
