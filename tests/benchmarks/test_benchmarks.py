"""The benchmarks run, on a tiny model, and compare what they say they compare."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_up_shards import VOCABULARY, write_shards

from ppa_plugin.commandline import UserError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TEXT = {
    "ell_Grek": ["Η ειρήνη επιστρέφει στην πόλη.", "Ο ήλιος λάμπει πάνω από τη θάλασσα και τα νησιά."],
    "tur_Latn": ["Barış şehre geri dönüyor.", "Güneş denizin ve adaların üzerinde parlıyor, hava çok güzel."],
}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """One language as plain text, one in the layout of SIB-200."""
    directory = tmp_path_factory.mktemp("text")
    (directory / "ell_Grek.txt").write_text("\n".join(TEXT["ell_Grek"] * 5) + "\n", encoding="utf-8")
    (directory / "tur_Latn").mkdir()
    rows = ["index_id\tcategory\ttext", *(f"{i}\tnews\t{line}" for i, line in enumerate(TEXT["tur_Latn"] * 5))]
    (directory / "tur_Latn" / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return directory


def run(script, *args):
    command = [sys.executable, str(BENCHMARKS / script), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


TINY = ("--arch", "translit_tiny", "--vocabulary", 300, "--pairs", 4, "--rounds", 1)


def test_all_steps_have_equal_losses_and_ours_a_ratio_to_each(text, tmp_path):
    printed = run("train_throughput.py", "--text", text, *TINY, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())["comparison"]
    assert report["loss_difference"] < 1e-4
    assert [*report["steps"]] == ["ours", "baseline", "packed_baseline"]
    assert [*report["against"]] == ["baseline", "packed_baseline"]
    for way, row in report["against"].items():
        assert row["rounds"] == [report["steps"][way]["seconds"][0] / report["steps"]["ours"]["seconds"][0]]
        assert f"ours is {row['median']:.2f} times {way} (" in printed
    assert 0 < report["padding"] < 1
    # the last block on all rows against it on masked ones alone; padding comes to it
    assert 1 < report["against"]["packed_baseline"]["predicted"] < report["against"]["baseline"]["predicted"]
    assert report["compiling"] is None


@pytest.fixture
def bench(text, monkeypatch):
    """The benchmark's model in FP64, and its pairs."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import train_throughput

    args = train_throughput.parser().parse_args(["--text", str(text), *map(str, TINY)])
    monkeypatch.setitem(train_throughput.PRECISIONS, args.precision, torch.float64)
    pairs = train_throughput.read_pairs(args)
    return train_throughput.Bench(args), [pairs[i] for i in range(4)]


def gradients(made, terms):
    """Those of all parameters of a sum of terms; made anew."""
    made.forget_gradients()
    sum(terms.values()).backward()
    return [parameter.grad for parameter in made.model.parameters()]


def test_packed_tokens_give_the_gradients_of_padded_ones(bench):
    import packed_transformers
    import padded_step

    made, samples = bench
    for model in (made.padded, made.packed_twin):
        model.eval()
        shared = {id(parameter) for parameter in made.model.parameters()}
        assert {id(parameter) for parameter in model.parameters()} == shared
    packed, padded = made.batches(samples)
    expected = gradients(made, padded_step.losses(made.padded, padded, made.layer))
    found = gradients(made, packed_transformers.losses(made.packed_twin, packed, made.layer))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_a_kernel_that_takes_queries_keys_and_values_apart_gets_them_apart(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import packed_transformers

    from ppa_plugin.model.attention import Packing

    lengths = np.array([5, 3, 3, 1])
    heads = torch.randn(3, 1, 2, lengths.sum(), 8)
    module, attended = SimpleNamespace(), []
    for kernel in ("runs", "nested"):
        module.packing = Packing(lengths, None, kernel, torch.device("cpu"))
        attended.append(packed_transformers._attend(module, *heads, None)[0])
    torch.testing.assert_close(*attended)


def test_compiled_blocks_share_a_graph_and_give_the_gradients_of_eager_ones(bench):
    from compiled_blocks import CompiledBlocks

    made, samples = bench
    packed = made.packed(samples)
    made.model.eval()
    expected = gradients(made, {"loss": made.criterion(made.model, packed)[0]})
    # the graph as it is traced and differentiated, without the minute that making kernels of it takes
    torch._dynamo.reset()
    made.blocks = CompiledBlocks(made.model.encoder.sentence_encoder.layers, "aot_eager")
    with made.blocks.running():
        found = gradients(made, {"loss": made.criterion(made.model, packed)[0]})
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert made.blocks.graphs == 1
    for count in (4, 3, 1):
        made.compiled(made.packed(samples[:count]))
    assert made.blocks.graphs == 2  # with dropout, whatever the lengths


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_steps_have_equal_losses_and_a_ratio_in_the_grid(text, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    flags = (*TINY, "--compile-blocks", "--json", tmp_path / "report.json")
    printed = run("train_throughput.py", "--text", text, *flags)
    report = json.loads((tmp_path / "report.json").read_text())["comparison"]
    assert report["loss_difference"] < 1e-4
    assert [*report["steps"]] == ["ours", "compiled", "baseline", "packed_baseline"]
    assert report["against"]["compiled"]["predicted"] == 1
    assert report["compiling"]["seconds"] > report["steps"]["compiled"]["seconds"][0]
    assert (report["compiling"]["failure"], report["compiling"]["graphs"]) == (None, 2)
    assert "2 graphs" in printed


def test_baselines_and_blocks_that_cannot_be_compiled_are_left_out(text, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    flags = (*TINY, "--no-baseline", "--compile-blocks", "--json", tmp_path / "report.json")
    printed = run("train_throughput.py", "--text", text, *flags)
    assert "the blocks cannot be compiled here (" in printed
    report = json.loads((tmp_path / "report.json").read_text())["comparison"]
    assert [*report["steps"]] == ["ours"]  # and no baseline
    assert report["against"] == {}


def test_a_block_is_timed_eager_and_compiled():
    printed = run("compiled_blocks.py", "--backend", "aot_eager", "--calls", 2, "--rounds", 1)
    microseconds = {line[:24].strip(): int(line[24:].split()[0]) for line in printed.splitlines()[1:]}
    assert [*microseconds] == ["eager", "compiled", "eager, torch's dropout"]
    assert min(microseconds.values()) > 0


def test_the_profile_names_the_parts(text):
    printed = run("profile_step.py", "--text", text, "--arch", "translit_tiny", "--vocabulary", 300, "--pairs", 4)
    for part in ("head and cross-entropy", "FFN", "Q, K, V projections", "attention between Q, K, V", "Adam"):
        assert part in printed


def test_the_heads_agree():
    printed = run("head.py", "--rows", 5, "--width", 16, "--vocabulary", 9000, "--rounds", 1)
    differences = {line.split()[0]: float(line.split()[-1]) for line in printed.splitlines()}
    assert differences["plain"] == 0
    assert differences["chunked"] < 1e-5


def test_every_command_answers():
    printed = run("start_up.py", "--rounds", 1)
    lines = {line.rsplit(maxsplit=3)[0] for line in printed.splitlines()[1:]}
    assert {line.split()[0] for line in lines} == {
        "ppa-convert",
        "ppa-evaluate",
        "ppa-preprocess",
        "ppa-report",
        "ppa-user-dir",
    }


@pytest.fixture
def bible(tmp_path):
    """The Bible's files, of two languages and English."""
    data = tmp_path / "bible"
    data.mkdir()
    for lang, lines in TEXT.items():
        texts = {lang: lines, "eng_Latn": ["Peace returns to the city.", "The sun shines over the sea and the isles."]}
        for side, text in texts.items():
            verses = "".join(f"{i} {line}\n" for i in range(9) for line in text)
            (data / f"bible.{lang}-eng_Latn.{side}").write_text(verses, encoding="utf-8")
    return data


def test_the_retrieval_command_is_timed_as_a_process(bible, tmp_path):
    flags = ("--sources", "eng_Latn,ell_Grek", "--layers", 3, "--width", 64, "--vocabulary", 200, "--rows", 5000)
    printed = run("retrieval.py", "--data", bible, "--command", *flags, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    # top-1, 5 and 10 of three pairs at three layers
    assert (report["layers"], report["results"]) == ([1, 2, 3], 27)
    assert "2 targets, 2 sources, layers [1, 2, 3]: 27 results" in printed


def test_both_ways_of_retrieval_have_equal_accuracies(bible, tmp_path):
    flags = ("--sources", "eng_Latn,ell_Grek", "--width", 64, "--vocabulary", 200, "--rounds", 2, "--limit", 16)
    printed = run("retrieval.py", "--data", bible, *flags, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["differing"] == []
    assert (report["pairs"], report["sentences"], len(report["ratio"]["rounds"])) == (3, 16, 2)
    assert report["mean"]["top10"]["released"] == report["mean"]["top10"]["ours"] > 0
    assert report["predicted"]["blocks"] == 4 / 3
    assert report["predicted"]["once"] > 1
    assert "ratio" in printed


def test_stock_training_is_measured_in_turn_with_a_larger_vocabulary(tmp_path):
    shard = write_shards(tmp_path / "data", pairs=40)
    flags = ("--arch", "translit_tiny", "--vocabulary", VOCABULARY + 500, "--updates", 2, "--warm-up", 1)
    ways = ("--ways", "paper", "recipe", "--rounds", 1, "--more", "--max-tokens 800 --update-freq 1")
    printed = run("fairseq_train.py", "--data-bin", shard, *flags, *ways, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [*report["ways"]] == ["paper", "recipe"]
    for way, figures in report["ways"].items():
        assert f"{way:12}{figures['tokens_per_s']:10,.0f}" in printed
        assert figures["tokens_per_s"] > figures["pairs_per_s"] > 0
        assert 0 < figures["mfu"] < 1
        # three terms of masked LM over all entries, and one of contrast
        assert figures["loss"] > 3 * math.log(VOCABULARY + 400)


def test_a_larger_vocabulary_is_the_one_that_training_finds(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fairseq_train

    from ppa_plugin.data.shards import find_beside, language_directories
    from ppa_plugin.data.vocabulary import load_dictionary

    shard = Path(write_shards(tmp_path / "data", pairs=40))
    languages = [path.name for path in language_directories(shard, "train")]
    (tmp_path / "work").mkdir()
    larger = fairseq_train.with_vocabulary(shard, VOCABULARY + 500, tmp_path / "work")
    assert len(load_dictionary(find_beside(larger, "dict.txt"))) == VOCABULARY + 500
    assert [path.name for path in language_directories(larger, "train")] == languages
    assert fairseq_train.with_vocabulary(shard, VOCABULARY, tmp_path / "work") == shard


def test_a_way_that_fails_costs_no_other_and_each_is_kept_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fairseq_train

    report, kept = tmp_path / "report.json", []

    def train(_shard, flags, _args):
        kept.append(json.loads(report.read_text())["ways"] if report.exists() else {})
        if "--bf16" in flags:
            raise UserError("no bf16 here")
        return dict.fromkeys(("tokens_per_s", "pairs_per_s", "mfu", "peak_gb", "first_update_s"), len(kept) / 10)

    monkeypatch.setattr(fairseq_train, "train", train)
    monkeypatch.setattr(fairseq_train, "measure_peak", lambda *_: 1e12)
    shard = write_shards(tmp_path / "data", pairs=40)
    with pytest.raises(UserError, match=r"^no bf16 here$"):
        fairseq_train._main(["--data-bin", shard, "--rounds", "3", "--json", str(report)])
    # paper, recipe, recipe-bf16, and twice more without the one that failed
    assert [[*ways] for ways in kept] == [[], ["paper"], *[["paper", "recipe"]] * 5]
    assert json.loads(report.read_text())["ways"]["paper"]["mfu"] == pytest.approx(0.4)
    assert capsys.readouterr().out.splitlines()[-2:][0].split()[:2] == ["paper", "0"]


def test_losses_of_equal_precision_are_equal(tmp_path):
    shard = write_shards(tmp_path / "data", pairs=40)
    flags = ("--arch", "translit_tiny", "--pairs", 8, "--updates", 12, "--precisions", "fp32")
    printed = run("half_precision.py", "--data-bin", shard, *flags, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    series = report["fp32"]
    assert series == report["reference"]
    assert [*series] == ["loss", "mlm_orig", "mlm_latn", "seq", "tlm"]
    assert all(len(values) == 2 for values in series.values())
    assert f"fp32      loss      {series['loss'][0]:9.4f} -> {series['loss'][1]:9.4f}" in printed
    assert printed.count("off by at most 0.000%") == len(series)


def test_differences_are_of_means_over_ten_updates(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import half_precision

    assert half_precision.windows([1.0] * 10 + [3.0] * 5) == [1, 3]
    assert half_precision.largest_difference([2.0, 3.3], [2.0, 3.0]) == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_parts_of_a_gpu_run_and_one_that_fails_stops_no_other(bible, tmp_path):
    shard = write_shards(tmp_path / "data", pairs=40)
    sizes = {"DEVICE": "cpu", "ARCH": "translit_tiny", "VOCABULARY": VOCABULARY + 50, "PAIRS": 8, "UPDATES": 10}
    sizes |= {"PARAMETERS": 1000, "TESTS": tmp_path / "none", "BIBLE": bible, "SOURCES": "eng_Latn,ell_Grek"}
    environment = os.environ | {name: str(value) for name, value in sizes.items()}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [BENCHMARKS / "on_a_gpu.sh", shard, tmp_path / "out"], env=environment, capture_output=True, text=True
    )
    ended = re.findall(r"^\[\d+ s\] (\w+)$", done.stdout, re.MULTILINE)
    assert ended == ["train", "tests", "profile", "step", "losses", "grid", "optimizer", "head", "retrieval"]
    # there are no such tests, and not enough text for sides of 512 tokens
    assert re.findall(r"^(\w+): exit code", done.stdout, re.MULTILINE) == ["tests", "grid"]
    assert "the text is shorter than one side of 512 tokens" in done.stdout
    written = {path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".json"}
    assert written == {"train.json", "step.json", "losses.json"}
    assert "2 targets, 4 sources" not in done.stdout
    few = subprocess.run(
        [BENCHMARKS / "on_a_gpu.sh", shard, tmp_path / "few", "optimizer"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert re.findall(r"^\[\d+ s\] (\w+)$", few.stdout, re.MULTILINE) == ["optimizer"]


def test_missing_text_is_one_sentence(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "train_throughput.py"), "--text", str(tmp_path), "--languages", "xxx"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "neither" in done.stderr
