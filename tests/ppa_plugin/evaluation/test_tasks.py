"""A new task is one entry of the registry: its files become results and tables, and nothing else is touched."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from extending_page import CODE
from learner import make_learner
from running import exit_code

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import cli, report, tasks
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.tasks import ClassificationTask, Recipe, TaggingTask, metric_order, task_order
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet

RECIPE = Recipe(learning_rate=1e-2, epochs=2, max_length=20, batch_size=4)
_PAGE = vars(tasks) | {"TASKS": {}}
exec(CODE["ppa_plugin/evaluation/tasks.py"], _PAGE)
NEW = (
    replace(_PAGE["TASKS"]["headlines"], recipe=RECIPE),  # in two epochs
    _PAGE["TASKS"]["proverbs"],
    TaggingTask("stress", "stressed words", RECIPE, labels=("weak", "strong"), endings=("txt",), folders=("accents",)),
)
LANGUAGES = ("eng_Latn", "ell_Grek", "fas_Arab")
MAIN = (("proverbs", "top10"), ("headlines", "macro_f1"), ("stress", "seqeval_f1"))  # the metrics of main tables


@pytest.fixture
def place(tmp_path, tiny_hf_directory, sentences, monkeypatch):
    """Entries for three tasks, their files in three languages, and a model."""
    for task in NEW:
        monkeypatch.setitem(tasks.TASKS, task.name, task)
    make_learner(tiny_hf_directory, tmp_path / "base")
    for place, language in enumerate(LANGUAGES):
        for split in ("train", "dev", "test"):
            rows = [f"{i}\t{('news', 'sport')[i % 2]}\t{sentences[place + i]}" for i in range(6)]
            write(tmp_path / "headlines" / language / f"{split}.tsv", rows)
            rows = [f"{word}\t{('weak', 'strong')[len(word) % 2]}" for word in sentences[place].split()]
            write(tmp_path / "accents" / language / f"{split}.txt", rows)
    for language in LANGUAGES[1:]:
        write(tmp_path / "sayings" / f"proverbs.{language}-eng_Latn.{language}", sentences[1:7])
        write(tmp_path / "sayings" / f"proverbs.{language}-eng_Latn.eng_Latn", sentences[7:13])
    return tmp_path


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def arguments(place, task, data):
    flags = {"model": place / "base", "data": place / data, "task": task, "sources": "ell_Grek", "device": "cpu"}
    return [part for name, value in flags.items() for part in (f"--{name}", value)]


@pytest.mark.parametrize(
    ("command", "task", "data", "more"),
    [
        ("classify", "headlines", "headlines", ["--seeds", "42"]),
        ("tag", "stress", ".", ["--seeds", "42"]),
        ("retrieval", "proverbs", "sayings", []),
    ],
)
def test_from_files_to_a_line_of_results(place, command, task, data, more, capsys):
    assert exit_code(cli.main, command, *arguments(place, task, data), *more, "--output", place / "r.jsonl") == 0
    results = read_results(place / "r.jsonl")
    assert {r.task for r in results} == {task}
    assert {r.target for r in results} - {"ell_Grek"} == {"fas_Arab"}
    assert {r.metric for r in results} == set(tasks.TASKS[task].metrics)
    if more:
        assert (results[0].config["learning_rate"], results[0].config["epochs_run"]) == (1e-2, 2)
        assert f"dev {tasks.TASKS[task].metrics[0]} " in capsys.readouterr().out
    assert exit_code(cli.main, command, "--help") == 0
    assert task in capsys.readouterr().out.split("--task")[1]


def test_in_a_suite_and_in_the_tables_of_their_kind(place):
    chosen = {
        "proverbs": {"data": "sayings", "sources": ["ell_Grek"]},
        "headlines": {"data": "headlines", "sources": ["eng_Latn"], "seeds": [42, 43]},
        "stress": {"data": ".", "sources": ["eng_Latn"], "seeds": [42]},
    }
    (place / "suite.yaml").write_text(yaml.safe_dump({"models": ["base"], "tasks": chosen, "output": "r.jsonl"}))
    suite = ("suite", "--config", place / "suite.yaml", "--device", "cpu")
    assert exit_code(cli.main, *suite, "--jobs", 0) == 0
    assert exit_code(cli.main, *suite, "--dry-run") == 0
    assert exit_code(report.main, place / "r.jsonl", "--output", place / "report") == 0
    text = (place / "report" / "results.md").read_text()
    heads = [text.index(f"all languages: {kind}") for kind in tasks.KINDS]
    assert heads == sorted(heads)
    for head, after, (name, metric) in zip(heads, [*heads[1:], len(text)], MAIN, strict=True):
        assert f"{name}, {metric}" in text[head:after]
    assert {path.name for path in (place / "report" / "tables").glob("*headlines*")}


def test_classes_that_no_entry_lists_are_those_of_the_training_set(place, monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "headlines", ClassificationTask("headlines", "newspaper headlines", RECIPE))
    data = ClassificationSet(place / "headlines", "headlines")
    assert data.labels("eng_Latn") == ["news", "sport"]
    write(place / "headlines" / "fas_Arab" / "test.tsv", ["1\tweather\train"])
    with pytest.raises(UserError, match="line 1: 'weather' is none of the labels of headlines"):
        ClassificationSet(place / "headlines", "headlines").check(["eng_Latn"], ["fas_Arab"])


def test_the_order_of_tables_is_that_of_kinds_then_entries(monkeypatch):
    for task in NEW:
        monkeypatch.setitem(tasks.TASKS, task.name, task)
    names = ["unknown", "stress", "pos", "headlines", "sib200", "proverbs", "tatoeba", "bible"]
    expected = ["bible", "tatoeba", "proverbs", "sib200", "headlines", "pos", "stress", "unknown"]
    assert sorted(names, key=task_order) == expected
    metrics = ["a", "token_accuracy", "span_micro_f1", "accuracy", "macro_f1", "top1", "top10"]
    assert sorted(metrics, key=metric_order) == [*metrics[:0:-1], "a"]


def test_the_registry_imports_nothing_heavy():
    tree = ast.parse(Path(tasks.__file__).read_text())
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert found <= set(sys.stdlib_module_names)
