"""What is wrong with the file of a suite or with the flags beside it is one sentence."""

from dataclasses import replace

import pytest
from suites import run, write

from ppa_plugin.evaluation.suite.cell import Cell
from ppa_plugin.evaluation.suite.finetuned_cells import FinetunedCells
from ppa_plugin.evaluation.suite.suite_file import load_suite
from ppa_plugin.evaluation.tasks import TASKS

pytestmark = pytest.mark.usefixtures("stubs")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"modells": []}, "the suite has an unknown key 'modells'; the nearest known key is 'models'"),
        ({"models": None}, "models is empty or no list"),
        ({"models": [5]}, "models, entry 1 is 5, expected a mapping"),
        ({"models": [{"name": "a"}]}, "models, entry 1 lacks the key 'path'"),
        ({"models": [{"path": "a", "label": "b"}]}, "models, entry 1 has an unknown key 'label'"),
        ({"models": [{"path": "a", "name": 3}]}, "models, entry 1: name is 3, expected a text"),
        ({"models": ["a", "b/a"]}, "two models are called 'a'"),
        ({"tasks": {}}, "tasks is empty or no mapping"),
        ({"tasks": {"bibel": {}}}, "tasks has an unknown key 'bibel'; the nearest known key is 'bible'"),
        ({"tasks": {"bible": 3}}, "tasks.bible is 3, expected a mapping"),
        (
            {"tasks": {"bible": {"source": []}}},
            "tasks.bible has an unknown key 'source'; the nearest known key is 'sources'",
        ),
        ({"tasks": {"bible": {"sources": ["eng_Latn"]}}}, "tasks.bible lacks the key 'data'"),
        ({"tasks": {"bible": {"data": "x", "sources": "eng_Latn"}}}, "sources is 'eng_Latn', expected a list"),
        ({"tasks": {"bible": {"data": "x", "sources": ["english"]}}}, "'english' is not a language code"),
        ({"tasks": {"bible": {"data": "x", "sources": ["eng_Latn"], "targets": []}}}, "targets is [], expected a list"),
        ({"tasks": {"bible": {"data": "x", "sources": ["eng_Latn"], "seeds": [1]}}}, "nothing is drawn in retrieval"),
        ({"tasks": {"bible": {"data": "x", "sources": ["eng_Latn"], "layer": -1}}}, "layer is -1, expected a whole"),
        (
            {"tasks": {"bible": {"data": "x", "sources": ["eng_Latn"], "layer": True}}},
            "layer is True, expected a whole",
        ),
        ({"tasks": {"bible": {"data": "x", "sources": ["eng_Latn"], "pool": "max"}}}, "pool is 'max', expected all or"),
        ({"tasks": {"bible": {"data": "x", "sources": ["eng_Latn"], "batch_size": 0}}}, "batch_size is 0, expected"),
        ({"tasks": {"taxi1500": {"data": "x", "sources": ["eng_Latn"], "seeds": 42}}}, "seeds is 42, expected a list"),
        ({"tasks": {"taxi1500": {"data": "x", "sources": ["eng_Latn"], "seeds": ["a"]}}}, "a seed is 'a', expected"),
        (
            {"tasks": {"taxi1500": {"data": "x", "sources": ["eng_Latn"], "seeds": [2**32]}}},
            "a seed is 4294967296, expected a whole number from 0 to 4294967295",
        ),
        ({"output": 3}, "output is 3, expected a text"),
        ({"output": None}, "names no output; add the key 'output' or pass --output"),
    ],
)
def test_a_wrong_file_is_one_sentence(place, capsys, changes, says):
    config = write(place, **changes)
    assert run("--config", config) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {config}")
    assert says in error
    assert error.count("\n") == 1


def test_paths_are_relative_to_the_file_and_may_begin_at_home(place, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/models/base").mkdir(parents=True)
    tasks = {"bible": {"data": "~/eval", "sources": ["eng_Latn"]}, "sib": {"data": "eval", "sources": ["eng_Latn"]}}
    suite = load_suite(write(place, models=["~/models/base"], tasks=tasks, output="~/results.jsonl"))
    assert suite.output == str(tmp_path / "home/results.jsonl")
    assert {cell.model for cell in suite.cells} == {str(tmp_path / "home/models/base")}
    assert [cell.data for cell in suite.cells] == [str(tmp_path / "home/eval"), str(place / "eval")]


def test_files_that_are_no_suite(place, capsys):
    for name, content, says in [
        ("missing.yaml", None, "cannot read --config"),
        ("latin.yaml", b"output: \xff", "is not valid UTF-8"),
        ("broken.yaml", b"a: [", "is not valid YAML"),
        ("list.yaml", b"- a", "the suite is ['a'], expected a mapping"),
    ]:
        if content is not None:
            (place / name).write_bytes(content)
        assert run("--config", place / name) == 2
        assert says in capsys.readouterr().err
    (place / "results.jsonl").write_text('{"model": 3}\n')
    assert run("--config", write(place)) == 2
    assert "results.jsonl, line 1: not a result" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0/3", "4/3", "2", "a/b", "1/0"])
def test_a_part_of_an_array_that_cannot_be(place, capsys, share):
    assert run("--config", write(place), "--array", share) == 2
    assert f"{share} is not I/N with I from 1 to N; with N tasks, sbatch --array=1-N" in capsys.readouterr().err


def test_jobs_that_cannot_be(place, capsys):
    assert run("--config", write(place), "--jobs", "many") == 2
    assert "many is not a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"learning_rate": "fast"}, "tasks.ner: learning_rate: fast is not a number above 0"),
        ({"epochs": 0}, "tasks.ner: epochs: 0 is not a positive whole number"),
        ({"epochs": True}, "tasks.ner: epochs: True is not a positive whole number"),
        ({"epochs": None}, "tasks.ner: epochs: None is not a positive whole number"),
        ({"precision": "fp7"}, "tasks.ner: precision is 'fp7', expected one of"),
        ({"precision": None}, "tasks.ner: precision is None, expected one of fp32, fp16, bf16, auto"),
        ({"optim": "adam"}, "tasks.ner: optim is 'adam', expected one of adamw_hf, adamw_torch"),
        ({"leftover": True}, "tasks.ner: leftover is True, expected one of carry, step"),
        ({"eval_steps": -1}, "tasks.ner: eval_steps: -1 is not a whole number of at least 0"),
        ({"unknown_labels": "drop"}, "tasks.ner: unknown_labels is 'drop', expected error or outside"),
        ({"epoch": 3}, "tasks.ner has an unknown key 'epoch'; the nearest known key is 'epochs'"),
    ],
)
def test_settings_of_fine_tuning_that_cannot_be(place, capsys, settings, says):
    config = write(place, tasks={"ner": {"data": "x", "sources": ["eng_Latn"], **settings}})
    assert run("--config", config) == 2
    assert says in capsys.readouterr().err


def test_raw_words_are_a_setting_of_pos_alone(place, capsys):
    for task, value, says in (("pos", "yes", "raw_words is 'yes', expected true or false"), ("ner", True, "unknown")):
        config = write(place, tasks={task: {"data": "x", "sources": ["eng_Latn"], "raw_words": value}})
        assert run("--config", config) == 2
        assert says in capsys.readouterr().err


def test_words_of_pos_that_were_measured_raw_are_those_of_raw_words(place):
    """Raw is what was measured before words were prepared as published: its key is as it was, the default's another."""
    kind = FinetunedCells()
    cell = Cell(kind, "pos", "base", "base", "x", ("eng_Latn",))
    before = {**vars(TASKS["pos"].recipe), "unknown_labels": "error"}
    assert kind.resolved(replace(cell, settings={"raw_words": True}), place) == before
    assert kind.resolved(cell, place) == kind.resolved(replace(cell, settings={"raw_words": False}), place) != before
    assert "raw_words" not in kind.resolved(replace(cell, task="ner"), place)


def test_suites_from_before_the_papers_fine_tuning_go_on_where_they_ask_for_theirs(place):
    """What they were measured with is under the key that it had, each setting that differs under another."""
    kind, cell = FinetunedCells(), Cell(FinetunedCells(), "ner", "base", "base", "x", ("eng_Latn",))
    before = {"learning_rate": 2e-5, "epochs": 5, "max_length": 256, "batch_size": 32, "accumulation": 2}
    before |= {"weight_decay": 0.0, "adam_eps": 1e-8, "clip_norm": 1.0, "warmup": 0, "patience": None}
    before |= {"precision": None, "unknown_labels": "error"}
    asked = {"optim": "adamw_torch", "leftover": "step", "eval_steps": None, "precision": "auto"}
    assert kind.resolved(replace(cell, settings=asked), place) == before
    for key in asked:
        others = {name: value for name, value in asked.items() if name != key}
        assert kind.resolved(replace(cell, settings=others), place) != before


def test_the_recipe_of_a_file_is_that_of_the_flags(place):
    written = {"learning_rate": "1e-3", "clip_norm": 0, "patience": None, "unknown_labels": "outside"}
    kind = FinetunedCells()
    cell = Cell(kind, "ner", "base", "base", "x", ("eng_Latn",), settings=written)
    recipe = {**vars(TASKS["ner"].recipe), "learning_rate": 0.001, "clip_norm": None, "unknown_labels": "outside"}
    assert kind.resolved(cell, place) == recipe
