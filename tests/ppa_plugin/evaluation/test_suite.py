"""`ppa-evaluate suite` as a user calls it: what is done is not done again, and what fails does not stop the rest."""

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import stub_cells
import yaml

from ppa_plugin.evaluation import cells, cli, workers
from ppa_plugin.evaluation.commands import suite
from ppa_plugin.evaluation.embedding import SentenceEncoder
from ppa_plugin.evaluation.results import read_results

LANGUAGES = ("ell_Grek", "fas_Arab", "tur_Latn")


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["suite", *map(str, arguments)])
    return ended.value.code


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    """Fine-tuning takes no time, and processes are forked: spawning one takes seconds."""
    for task in stub_cells.TASKS:
        monkeypatch.setitem(cells.KINDS, task, stub_cells)
    monkeypatch.setattr(suite, "measure", stub_cells.measure_planned)
    monkeypatch.setattr(workers, "_START", "fork")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture
def place(tmp_path, tiny_hf_directory, sentences):
    """Two models with a tokenizer, Bible verses in four languages and labelled data in three."""
    for number, name in enumerate(("base", "aligned")):
        shutil.copytree(tiny_hf_directory, tmp_path / name)
        if number:
            weights = tmp_path / name / "model.safetensors"
            content = bytearray(weights.read_bytes())
            content[-3] ^= 0x40
            weights.write_bytes(content)
    for directory in ("bibles", "topics"):
        (tmp_path / directory).mkdir()
    for number, language in enumerate(LANGUAGES):
        lines = sentences[6 * number : 6 * number + 6]
        (tmp_path / "bibles" / f"bible.{language}-eng_Latn.{language}").write_text("\n".join(lines) + "\n")
        (tmp_path / "bibles" / f"bible.{language}-eng_Latn.eng_Latn").write_text("a\nb\nc\nd\ne\nf\n")
        (tmp_path / "topics" / f"{language}.txt").write_text(language)
    return tmp_path


def write(place, **changes):
    """The file of a suite: 2 models x (1 retrieval task + 2 sources x 2 seeds of one that is fine-tuned) = 10 cells."""
    content = {
        "output": "results.jsonl",
        "device": "cpu",
        "models": ["base", {"path": "aligned", "name": "MLM+SEQ"}],
        "tasks": {
            "bible": {"data": "bibles", "sources": ["eng_Latn", "fas_Arab"]},
            "taxi1500": {"data": "topics", "sources": ["fas_Arab", "tur_Latn"]},
        },
        **changes,
    }
    path = place / "suite.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def one_task(place, **options):
    """The file of a suite of one model and one fine-tuned task."""
    options = {"data": "topics", "sources": ["fas_Arab"], **options}
    return write(place, models=["base"], tasks={"taxi1500": options})


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
    assert len(bible) == 2 * 6 * 3  # models, pairs, metrics
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
    with pytest.raises(SystemExit):
        cli.main(["retrieval", *map(str, flags), "--output", str(place / "own.jsonl")])
    ours, own = read_results(place / "results.jsonl"), read_results(place / "own.jsonl")
    assert len(ours) == 2 * 3 * 3
    for one, other in zip(ours, own, strict=True):
        assert {k: v for k, v in one.config.items() if not k.startswith("cell")} == other.config
        assert {**vars(one), "config": None} == {**vars(other), "config": None}


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


def test_a_cut_off_file_is_mended(place, capsys):
    """Whatever number of bytes a full disk or a kill has left, the end is the file of the undisturbed run."""
    config = write(place)
    assert run("--config", config, "--jobs", 0) == 0
    whole = (place / "results.jsonl").read_bytes()
    generator = random.Random(1)
    for length in (0, len(whole) - 1, *(generator.randrange(len(whole)) for _ in range(4))):
        (place / "results.jsonl").write_bytes(whole[:length])
        capsys.readouterr()
        assert run("--config", config, "--jobs", 0) == 0
        assert (place / "results.jsonl").read_bytes() == whole
        torn = 0 < length < len(whole) - 1 and whole[length - 1 : length] != b"\n"
        assert ("results.jsonl was cut off; it is dropped" in capsys.readouterr().err) == torn


@pytest.mark.parametrize("jobs", [0, 1])
def test_two_kills_change_nothing(place, jobs):
    tasks = {
        "bible": {"data": "bibles", "sources": ["eng_Latn"]},
        "taxi1500": {"data": "topics", "sources": ["fas_Arab"], "seeds": list(range(12)), "seconds": 0.03},
    }
    config = write(place, tasks=tasks)
    assert run("--config", config, "--jobs", jobs) == 0
    undisturbed = (place / "results.jsonl").read_bytes()
    output, generator, sizes = place / "killed.jsonl", random.Random(jobs), [0]
    arguments = ("--config", config, "--jobs", jobs, "--output", output)
    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=run, args=arguments)
        process.start()
        enough = sizes[-1] + generator.randrange(1, len(undisturbed) // 3)
        while not output.exists() or output.stat().st_size < enough:
            assert process.is_alive()
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        sizes.append(output.stat().st_size)
    assert 0 < sizes[1] < sizes[2] < len(undisturbed)
    assert run(*arguments) == 0
    assert output.read_bytes() == undisturbed


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


def test_in_this_process_a_crash_is_a_failed_cell_too(place, capsys):
    assert run("--config", one_task(place, seeds=[91, 42]), "--jobs", 0) == 1
    assert "seed 91: failed: ZeroDivisionError: the program is wrong" in capsys.readouterr().out
    assert {r.seed for r in read_results(place / "results.jsonl")} == {42}


def test_two_processes_give_the_results_of_one(place):
    tasks = {
        "taxi1500": {"data": "topics", "sources": ["fas_Arab"], "trace": str(place / "trace"), "seconds": 0.2},
        "bible": {"data": "bibles", "sources": ["eng_Latn"]},
    }
    config = write(place, tasks=tasks)
    assert run("--config", config, "--jobs", 2) == 0
    assert len(set(re.findall(r"in (\d+):", (place / "trace").read_text())) - {str(os.getpid())}) == 2
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


def test_a_killed_run_leaves_no_process_behind(place):
    trace = place / "trace"
    config = one_task(place, trace=str(trace), seconds=60)
    process = multiprocessing.get_context("fork").Process(target=run, args=("--config", config, "--jobs", 1))
    process.start()
    wait_for(lambda: trace.exists() and trace.read_text().endswith("\n"))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    worker = re.search(r"in (\d+):", trace.read_text()).group(1)
    status = Path("/proc", worker, "stat")
    wait_for(lambda: not status.exists() or status.read_text().rpartition(") ")[2].startswith("Z"))


def wait_for(condition) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_workers_are_pinned_round_robin(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert suite._devices(None, None) == (["cuda:0", "cuda:1"], 4)
    assert suite._devices("cuda", 3) == (["cuda:0", "cuda:1", "cuda:0"], 2)
    assert suite._devices("cuda:1", 2) == (["cuda:1", "cuda:1"], 4)
    assert suite._devices("cpu", 0) == (["cpu"], 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert suite._devices(None, None) == (["cpu"], 8)


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


def test_a_full_disk_ends_the_run_and_leaves_whole_lines(place, capsys):
    import resource

    config = write(place)
    assert run("--config", config, "--jobs", 0) == 0
    whole = (place / "results.jsonl").read_bytes()
    (place / "results.jsonl").unlink()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, len(whole) // 2))
        sys.exit(run("--config", config, "--jobs", 0))

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join()
    assert process.exitcode == 2
    written = (place / "results.jsonl").read_bytes()
    assert whole.startswith(written)
    assert written.endswith(b"\n")
    assert run("--config", config, "--jobs", 0) == 0
    assert (place / "results.jsonl").read_bytes() == whole


def test_keys_do_not_depend_on_where_things_are(place):
    assert run("--config", one_task(place, seeds=[42]), "--jobs", 0) == 0
    moved = shutil.copytree(place, place / "moved")
    assert run("--config", moved / "suite.yaml", "--dry-run") == 0
    assert {r.config["cell_lines"] for r in read_results(place / "results.jsonl")} == {2}
    assert json.loads((place / "results.jsonl").read_text().splitlines()[0])["config"]["cell"]
