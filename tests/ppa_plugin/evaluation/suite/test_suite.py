"""`ppa-evaluate suite` as a user calls it: what is done is not done again, and what fails does not stop the rest."""

import json
import os
import re
import shutil

import pytest
import stub_cells
import torch
from made_up_results import result
from running import exit_code
from suites import LANGUAGES, one_task, run, write

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.commands import suite
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.results import append_results, read_results
from ppa_plugin.evaluation.suite import workers
from ppa_plugin.evaluation.suite.finetuned_cells import FinetunedCells
from ppa_plugin.evaluation.suite.suite_file import KINDS, load_suite
from ppa_plugin.evaluation.suite.suite_plan import Finished, Planner
from ppa_plugin.evaluation.tasks import CLASSIFICATION, TASKS

pytestmark = pytest.mark.usefixtures("stubs")
MEASURE = suite.measure  # that which no stub has replaced


def test_the_matrix_is_measured_once(place, capsys, monkeypatch):
    config = write(place)
    assert run("--config", config, "--jobs", 0) == 0
    out = capsys.readouterr().out
    assert "10 cells: 0 done, 10 missing, 0 failed" in out
    assert "[1/10] base, bible from eng_Latn fas_Arab: " in out
    assert re.search(r"\[9/10\] MLM\+SEQ, taxi1500 from tur_Latn, seed 42: 0 s; about 0 s left", out)
    assert out.endswith("10 of 10 cells done\n")
    results = read_results(place / "results.jsonl")
    order = [("base", "bible"), ("base", "taxi1500"), ("MLM+SEQ", "bible"), ("MLM+SEQ", "taxi1500")]
    assert list(dict.fromkeys((r.model, r.task) for r in results)) == order
    bible = [r for r in results if r.task == "bible"]
    assert len(bible) == 2 * 5 * 3  # models, pairs, metrics
    assert {(r.source, r.seed, r.target) for r in results if r.task == "taxi1500"} == {
        (source, seed, target) for source in ("fas_Arab", "tur_Latn") for seed in (42, 43) for target in LANGUAGES
    }
    before = (place / "results.jsonl").read_bytes()
    monkeypatch.setattr(suite, "measure", None)  # nothing is left to do
    assert run("--config", config, "--jobs", 0) == 0
    assert "10 cells: 10 done, 0 missing, 0 failed" in capsys.readouterr().out
    assert (place / "results.jsonl").read_bytes() == before


def test_retrieval_gives_what_its_own_command_gives(place):
    settings = {"layer": [3, 1], "pool": "content", "batch_size": 2, "max_tokens": 99}
    tasks = {"bible": {"data": "bibles", "sources": ["fas_Arab"], **settings}}
    assert run("--config", write(place, models=["base"], tasks=tasks), "--jobs", 0) == 0
    flags = ("--model", place / "base", "--data", place / "bibles", "--task", "bible", "--sources", "fas_Arab")
    flags += ("--layer", "3,1", "--pool", "content", "--batch-size", 2, "--max-tokens", 99, "--device", "cpu")
    assert exit_code(cli.main, "retrieval", *flags, "--output", place / "own.jsonl") == 0
    ours, own = read_results(place / "results.jsonl"), read_results(place / "own.jsonl")
    assert len(ours) == 2 * 2 * 3  # layers, targets, metrics
    for one, other in zip(ours, own, strict=True):
        assert {k: v for k, v in one.config.items() if not k.startswith("cell")} == other.config
        assert {**vars(one), "config": None} == {**vars(other), "config": None}


FLAGS = {
    "sib200": ("classify", ["--learning-rate", "1e-3", "--epochs", 2, "--batch-size", 4, "--max-length", 20]),
    "ner": ("tag", ["--epochs", 1, "--max-length", 20, "--unknown-labels", "outside"]),
}


@pytest.mark.parametrize("task", FLAGS)
def test_fine_tuning_gives_what_its_own_command_gives(place, monkeypatch, task):
    monkeypatch.setitem(KINDS, CLASSIFICATION, FinetunedCells())
    monkeypatch.setattr(suite, "measure", MEASURE)
    for language in ("eng_Latn", "ell_Grek"):
        (place / task / language).mkdir(parents=True)
        for split, size in (("train", 14), ("dev", 7), ("test", 9)):
            lines = [f"{i}\t{TASKS['sib200'].labels[i % 7]}\tword {i}" for i in range(size)]
            words = [f"word{i}\tB-{'LOC' if language == 'eng_Latn' else 'DATE'}\nthing\tO\n" for i in range(size)]
            text = ["index_id\tcategory\ttext", *lines] if task == "sib200" else words
            (place / task / language / f"{split}.tsv").write_text("\n".join(text) + "\n")
    command, flags = FLAGS[task]
    own = [command, "--model", place / "base", "--data", place / task, "--task", task, "--sources", "eng_Latn"]
    own += ["--seeds", "42,43", "--device", "cpu", "--output", place / "own.jsonl", *flags]
    assert exit_code(cli.main, *own) == 0
    settings = {flag[2:].replace("-", "_"): value for flag, value in zip(flags[::2], flags[1::2], strict=True)}
    options = {"data": task, "sources": ["eng_Latn"], "seeds": [42, 43], **settings}
    config = write(place, models=["base"], tasks={task: options})
    assert run("--config", config, "--jobs", 0) == 0
    ours, own = (read_results(place / name) for name in ("results.jsonl", "own.jsonl"))
    assert len(ours) == 2 * 1 * 2  # seeds, targets, metrics
    for one, other in zip(ours, own, strict=True):
        assert {k: v for k, v in one.config.items() if not k.startswith("cell")} == other.config
        assert {**vars(one), "config": None} == {**vars(other), "config": None}
    assert run("--config", config, "--dry-run") == 0
    (place / task / "ell_Grek" / "test.tsv").unlink()
    assert run("--config", write(place, models=["base"], tasks={task: options | {"targets": ["ell_Grek"]}})) == 1


def test_only_what_is_missing_is_measured(place, monkeypatch):
    tasks = {"bible": {"data": "bibles", "sources": ["eng_Latn"], "targets": ["ell_Grek"]}}
    config = write(place, models=["base"], tasks=tasks)
    assert run("--config", config, "--jobs", 0) == 0
    embedded = []
    encode = SentenceEncoder.encode_layers
    monkeypatch.setattr(
        SentenceEncoder,
        "encode_layers",
        lambda self, texts, *more, **n: embedded.append(texts) or encode(self, texts, *more, **n),
    )
    tasks["bible"] = {"data": "bibles", "sources": ["eng_Latn", "tur_Latn"], "targets": ["ell_Grek"]}
    assert run("--config", write(place, models=["base"], tasks=tasks), "--jobs", 0) == 0
    assert len(embedded) == 2  # not English again
    found = [(r.source, r.target, r.metric) for r in read_results(place / "results.jsonl")]
    assert len(found) == len(set(found)) == 6


def test_cells_that_fail_are_said_and_the_others_go_on(place, capsys):
    seeds = [42, *range(90, 96), 43]
    assert run("--config", one_task(place, seeds=seeds), "--jobs", 1) == 1
    out = capsys.readouterr().out
    cell = "base, taxi1500 from fas_Arab, seed"
    said = {
        90: "dev.tsv is missing",
        91: "ZeroDivisionError: the program is wrong (stub_cells.py, line ",
        92: "out of memory: ",
        93: "its process was ended by SIGKILL, as it does where memory runs out",
        94: "its process ended with exit code 3",
        95: "the files of taxi1500 fas_Arab to ell_Grek changed while they were measured; run it again",
    }
    for number, (seed, reason) in enumerate(said.items(), 2):
        assert f"[{number}/8] {cell} {seed}: failed: {reason}" in out
        assert f"\n  {cell} {seed}: {reason}" in out
    assert "2 of 8 cells done, 6 failed:\n" in out
    assert {r.seed for r in read_results(place / "results.jsonl")} == {42, 43}


def test_a_cell_that_cannot_be_planned_is_a_failed_cell_too(place, capsys, monkeypatch):
    inputs = stub_cells.StubCells.inputs

    def broken(self, cell):
        if cell.sources == ("tur_Latn",):
            raise PermissionError(13, "Permission denied", "test.tsv")
        return inputs(self, cell)

    monkeypatch.setattr(stub_cells.StubCells, "inputs", broken)
    assert run("--config", one_task(place, sources=["tur_Latn", "fas_Arab"], seeds=[42]), "--jobs", 0) == 1
    out = capsys.readouterr().out
    assert "tur_Latn, seed 42: failed: PermissionError: [Errno 13] Permission denied: 'test.tsv' (test_suite.py" in out
    assert "1 of 2 cells done, 1 failed" in out


def test_in_this_process_a_crash_is_a_failed_cell_too(place, capsys):
    assert run("--config", one_task(place, seeds=[91, 42]), "--jobs", 0) == 1
    assert "seed 91: failed: ZeroDivisionError: the program is wrong" in capsys.readouterr().out
    assert {r.seed for r in read_results(place / "results.jsonl")} == {42}


def test_two_processes_give_the_results_of_one(place, capfd):
    tasks = {
        "taxi1500": {"data": "topics", "sources": ["fas_Arab"], "trace": str(place / "trace"), "seconds": 0.2},
        "bible": {"data": "bibles", "sources": ["eng_Latn"]},
    }
    config = write(place, tasks=tasks)
    assert run("--config", config, "--jobs", 2) == 0
    assert len(set(re.findall(r"in (\d+):", (place / "trace").read_text())) - {str(os.getpid())}) == 2
    assert "base, taxi1500 from fas_Arab, seed 42: looking\n" in capfd.readouterr().err
    tasks["taxi1500"]["seconds"] = 0
    assert run("--config", write(place, tasks=tasks), "--jobs", 0, "--output", place / "one.jsonl") == 0
    two, one = ((place / name).read_text().splitlines() for name in ("results.jsonl", "one.jsonl"))
    assert sorted(two) == sorted(one)


def test_a_spawned_process(place, monkeypatch):
    """As it is without stubs: a process that is started afresh."""
    monkeypatch.setattr(workers, "_START", "spawn")
    tasks = {
        "taxi1500": {"data": "topics", "sources": ["fas_Arab"]},
        "bible": {"data": "bibles", "sources": ["eng_Latn"]},
    }
    config = write(place, models=["base"], tasks=tasks)
    assert run("--config", config, "--jobs", 1) == 0
    assert run("--config", config, "--jobs", 0, "--output", place / "here.jsonl") == 0
    assert (place / "results.jsonl").read_bytes() == (place / "here.jsonl").read_bytes()


def test_workers_are_pinned_round_robin(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert suite._devices(None, None) == (["cuda:0", "cuda:1"], 4)
    assert suite._devices("cuda", 3) == (["cuda:0", "cuda:1", "cuda:0"], 2)
    assert suite._devices("cuda:1", 2) == (["cuda:1", "cuda:1"], 4)
    assert suite._devices("cpu", 0) == (["cpu"], 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert suite._devices(None, None) == (["cpu"], 8)
    for device, says in (
        ("cuda:1", "the device is cuda:1, but no GPU is visible"),
        ("abacus", "abacus is not a device"),
    ):
        with pytest.raises(UserError, match=says):
            suite._devices(device, 1)


def test_the_parts_of_an_array_are_the_whole(place):
    config = write(place)
    assert run("--config", config, "--jobs", 0, "--output", place / "whole.jsonl") == 0
    per_part = []
    for part in (1, 2, 3):
        before = len(read_results(place / "results.jsonl")) if per_part else 0
        assert run("--config", config, "--jobs", 0, "--array", f"{part}/3") == 0
        results = read_results(place / "results.jsonl")[before:]
        per_part.append({(r.model, r.task, r.source if r.task != "bible" else "", r.seed) for r in results})
    parts, whole = ((place / name).read_text().splitlines() for name in ("results.jsonl", "whole.jsonl"))
    assert sorted(parts) == sorted(whole)
    assert [sum(task == "taxi1500" for _, task, _, _ in part) for part in per_part] == [3, 2, 3]
    assert [len(part) for part in per_part] == [4, 3, 3]


def test_dry_run(place, capsys):
    config = write(place)
    assert run("--config", config, "--array", "1/2", "--jobs", 0) == 0
    (place / "aligned" / "model.safetensors").unlink()
    capsys.readouterr()
    before = (place / "results.jsonl").read_bytes()
    assert run("--config", config, "--dry-run") == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "done    base, bible from eng_Latn fas_Arab"
    assert "missing base, taxi1500 from fas_Arab, seed 43\n" in out
    assert "failed  MLM+SEQ, bible from eng_Latn fas_Arab: " in out
    assert out.endswith("10 cells: 3 done, 2 missing, 5 failed\n")
    assert (place / "results.jsonl").read_bytes() == before
    base = b"".join(line for line in before.splitlines(keepends=True) if b'"model": "base"' in line)[:-20]
    (place / "results.jsonl").write_bytes(base)  # another run is writing
    assert run("--config", config, "--dry-run") == 1
    assert "10 cells: 2 done, 3 missing, 5 failed\n" in capsys.readouterr().out
    assert (place / "results.jsonl").read_bytes() == base


def test_other_versions_of_data_and_model_fail_their_cells_only(place, capsys):
    config = write(place)
    assert run("--config", config, "--jobs", 0) == 0
    whole = (place / "results.jsonl").read_bytes()
    (place / "bibles" / "bible.ell_Grek-eng_Latn.ell_Grek").write_text("1\n2\n3\n4\n5\n6\n")
    (place / "results.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:-6]))
    capsys.readouterr()
    assert run("--config", config, "--jobs", 0) == 1
    out = capsys.readouterr().out
    assert (
        "  base, bible from eng_Latn fas_Arab: "
        f"{place}/results.jsonl, line 1 was measured on another version of bible eng_Latn to ell_Grek; "
        "give this suite another output"
    ) in out
    assert "8 of 10 cells done, 2 failed" in out
    assert (place / "results.jsonl").read_bytes() == whole
    shutil.copyfile(place / "base" / "model.safetensors", place / "aligned" / "model.safetensors")
    assert run("--config", config, "--jobs", 0) == 1
    assert "is of another model that was called MLM+SEQ; give this suite another output or it another name" in (
        capsys.readouterr().out
    )
    assert (place / "results.jsonl").read_bytes() == whole


def test_other_settings_or_lines_of_another_command_are_not_mixed(place, capsys):
    assert run("--config", one_task(place, epochs=5, seeds=[42]), "--jobs", 0) == 0
    assert run("--config", one_task(place, seeds=[42]), "--jobs", 0) == 0  # 5 is the default
    assert run("--config", one_task(place, epochs=6, seeds=[42, 43]), "--jobs", 0) == 1
    out = capsys.readouterr().out
    assert "line 1 is this measurement with other settings or by another command; give this suite another output" in out
    assert "1 of 2 cells done, 1 failed" in out
    tasks = {"bible": {"data": "bibles", "sources": ["eng_Latn"], "layer": 1}}
    other_layer = {"bible": {**tasks["bible"], "layer": 2}}
    assert run("--config", write(place, models=["base"], tasks=tasks), "--jobs", 0) == 0
    assert run("--config", write(place, models=["base"], tasks=other_layer), "--jobs", 0) == 0


def test_one_directory_under_two_names(place):
    models = ["base", {"path": "base", "name": "again"}]
    tasks = {"taxi1500": {"data": "topics", "sources": ["fas_Arab"], "seeds": [42]}}
    assert run("--config", write(place, models=models, tasks=tasks), "--jobs", 0) == 0
    assert [r.model for r in read_results(place / "results.jsonl")] == ["base"] * 6 + ["again"] * 6


def test_keys_do_not_depend_on_where_things_are(place):
    assert run("--config", one_task(place, seeds=[42]), "--jobs", 0) == 0
    moved = shutil.copytree(place, place / "moved")
    assert run("--config", moved / "suite.yaml", "--dry-run") == 0
    assert {r.config["cell_lines"] for r in read_results(place / "results.jsonl")} == {2}
    assert json.loads((place / "results.jsonl").read_text().splitlines()[0])["config"]["cell"]


def test_a_model_that_changes_meanwhile_is_not_measured_as_the_one_planned(place, capsys, monkeypatch):
    def overwritten_before(planned, device):
        (place / "base" / "model.safetensors").write_bytes(b"another model")
        return MEASURE(planned, device)

    monkeypatch.setattr(suite, "measure", overwritten_before)
    assert run("--config", one_task(place), "--jobs", 0) == 1
    assert "changed since this run of the suite began; run it again" in capsys.readouterr().out
    assert not (place / "results.jsonl").exists()


def test_what_ran_on_a_gpu_is_done_on_a_cpu_where_the_precision_is_left_to_the_device(place, capsys, monkeypatch):
    """A suite may be begun on GPUs and ended on a CPU, and be listed where there is neither its GPU nor its fp16."""
    monkeypatch.setitem(KINDS, CLASSIFICATION, FinetunedCells())
    for split in ("train", "dev", "test"):
        lines = [f"{i}\t{label}\tverse {i}" for i, label in enumerate(TASKS["taxi1500"].labels)]
        path = place / "topics" / "fas_Arab" / f"{split}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    config = one_task(place, seeds=[42], precision="auto")
    planned = Planner(Finished(place / "results.jsonl")).plan(load_suite(config).cells[0])
    ((source, target),) = planned.missing
    same = {"task": "taxi1500", "source": source, "seed": 42, "layer": None, "pool": None}
    same |= {"model_sha256": planned.model.sha256, "data_sha256": planned.data_sha256[source, target]}
    same |= {"config": {"precision": "fp16", "device": "cuda"}}
    measured = [result("base", target, metric=metric, **same) for metric in ("macro_f1", "accuracy")]
    append_results(place / "results.jsonl", planned.accepted(measured))
    assert run("--config", config, "--dry-run") == 0
    assert "1 cells: 1 done, 0 missing, 0 failed" in capsys.readouterr().out
    for other in ({}, {"precision": "fp32"}):
        assert run("--config", one_task(place, seeds=[42], **other), "--dry-run") == 1
        assert "line 1 is this measurement with other settings" in capsys.readouterr().out
