"""`ppa-evaluate select` as a user calls it, on checkpoints whose order is computed here in another way."""

import os
import re
import shutil
import tempfile

import numpy as np
import pytest
import torch
from running import exit_code
from safetensors.torch import load_file, save_file

from ppa_plugin.convert import cli as convert_cli
from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.selection import checkpoints, series
from ppa_plugin.model.checkpoint import load_fairseq


def select(place, *more, output="results.jsonl"):
    flags = ["--checkpoints", place / "run", "--data", place / "tatoeba", "--device", "cpu", *more]
    return exit_code(cli.main, "select", *flags, *(["--output", place / output] if output else []))


@pytest.fixture(scope="module")
def made(tiny_hf_directory, sentences, tmp_path_factory):
    """Three checkpoints whose embeddings grow worse from update to update, and Tatoeba in two languages."""
    made = tmp_path_factory.mktemp("select")
    assert exit_code(convert_cli.main, "to-fairseq", tiny_hf_directory, made / "fairseq") == 0
    (made / "run").mkdir()
    shutil.copy(made / "fairseq" / "sentencepiece.bpe.model", made)
    for step, scale in ((2000, 0.3), (4000, 0.0), (12000, 3.0)):
        trained = load_fairseq(made / "fairseq" / "model.pt")
        trained["model"] = {name: value.clone() for name, value in trained["model"].items()}
        generator = torch.Generator().manual_seed(step)
        for name, value in trained["model"].items():
            if "embed_positions" in name or ".fc1.weight" in name:
                value += scale * torch.randn(value.shape, generator=generator)
        trained["optimizer_history"][-1]["num_updates"] = step
        torch.save(trained, made / "run" / f"checkpoint_1_{step}.pt")
    shutil.copy(made / "run" / "checkpoint_1_4000.pt", made / "run" / "checkpoint_best.pt")
    shutil.copy(made / "run" / "checkpoint_1_12000.pt", made / "run" / "checkpoint_last.pt")
    (made / "tatoeba").mkdir()
    texts = [f"{one} {other}" for one in sentences[:7] for other in sentences[7:13]]
    for code, cut in (("ell", 0), ("pes", 9)):
        turned = [" ".join(reversed(text.split())) + sentences[i % 18][:cut] for i, text in enumerate(texts)]
        (made / "tatoeba" / f"tatoeba.{code}-eng.{code}").write_text("\n".join(turned) + "\n")
        (made / "tatoeba" / f"tatoeba.{code}-eng.eng").write_text("\n".join(texts) + "\n")
    return made


@pytest.fixture
def place(made, tmp_path):
    return shutil.copytree(made, tmp_path / "place")


def expected_mean(place, step, k=10, layer=2):
    """Mean top-k accuracy from English, by Transformers, sentence by sentence, and numpy."""
    directory = place / f"own{step}{layer}"
    assert exit_code(convert_cli.main, "to-hf", place / "run" / f"checkpoint_1_{step}.pt", directory) == 0
    transformers = import_transformers()
    model = transformers.AutoModel.from_pretrained(directory).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)

    def vectors(path):
        rows = []
        for line in path.read_text().splitlines():
            with torch.inference_mode():
                hidden = model(**tokenizer(line, return_tensors="pt"), output_hidden_states=True).hidden_states[layer]
            rows.append(hidden[0].mean(0).double().numpy())
        return np.array([row / np.linalg.norm(row) for row in rows])

    shares = []
    for code in ("ell", "pes"):
        queries, candidates = (vectors(place / "tatoeba" / f"tatoeba.{code}-eng.{c}") for c in ("eng", code))
        similarity = queries @ candidates.T
        shares.append(np.mean([(row >= row[i]).sum() - 1 < k for i, row in enumerate(similarity)]))
    return float(np.mean(shares))


def test_checkpoints_are_ranked_by_their_mean(place, capsys, monkeypatch):
    means = {step: expected_mean(place, step) for step in (2000, 4000, 12000)}
    assert len(set(means.values())) == 3  # else there were no order to find
    order = sorted(means, key=lambda step: -means[step])
    temporary = place / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert select(place) == 0
    out = capsys.readouterr().out
    ranks = re.findall(r"^ +(\d)  +([\d,]+)  +([\d.]+)  (\S+)$", out, re.MULTILINE)
    assert ranks == [
        (str(rank), f"{step:,}", f"{100 * means[step]:.2f}", f"checkpoint_1_{step}.pt")
        for rank, step in enumerate(order, 1)
    ]
    assert "checkpoint_best.pt: update 4,000 as checkpoint_1_4000.pt" in out
    assert "checkpoint_last.pt: update 12,000 as checkpoint_1_12000.pt" in out
    best = place / "run" / f"checkpoint_1_{order[0]}.pt"
    assert out.endswith(f"best: {best}\nppa-convert to-hf {best} aligned\n")
    assert not os.listdir(temporary)
    results = read_results(place / "results.jsonl")
    assert len(results) == 3 * 2 * 3
    assert {(r.model, r.config["step"], r.model_path) for r in results} == {
        ("run", step, str(place / "run" / f"checkpoint_1_{step}.pt")) for step in means
    }
    for step, mean in means.items():
        values = [r.value for r in results if r.config["step"] == step and r.metric == "top10"]
        assert sum(values) / 2 == pytest.approx(mean, abs=1e-12)
        weights = place / f"own{step}2" / "model.safetensors"
        assert {r.model_sha256 for r in results if r.config["step"] == step} == {checkpoints.sha256(weights)}


def test_what_was_measured_is_not_measured_again(place, capsys, monkeypatch):
    late = place / "run" / "checkpoint_1_12000.pt"
    (place / "run" / "checkpoint_last.pt").unlink()
    late.rename(place / "late.pt")
    assert select(place) == 0
    before = (place / "results.jsonl").read_bytes()
    (place / "late.pt").rename(late)
    (place / "results.jsonl").write_bytes(before + b'{"model": "ru')  # as a kill leaves it
    embedded = []
    encoder = series.SentenceEncoder
    monkeypatch.setattr(series, "SentenceEncoder", lambda *given: embedded.append(given) or encoder(*given))
    capsys.readouterr()
    assert select(place) == 0
    assert len(embedded) == 1
    out = capsys.readouterr().out
    assert f"checkpoint_1_2000.pt: top10 {100 * expected_mean(place, 2000):.2f}, from {place}/results.jsonl" in out
    after = (place / "results.jsonl").read_bytes()
    assert after.startswith(before)
    assert {r.config["step"] for r in read_results(place / "results.jsonl")[12:]} == {12000}
    assert select(place, "--layer", 1) == 0
    assert len(embedded) == 4
    assert select(place, "--layer", 2) == 0  # the default of three layers
    assert len(embedded) == 4
    whole = (place / "results.jsonl").read_bytes()
    (place / "results.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    assert select(place, "--layer", 1) == 0
    assert (place / "results.jsonl").read_bytes() == whole


def test_another_metric_and_the_best_written(place, capsys):
    means = {step: expected_mean(place, step, k=1, layer=3) for step in (2000, 4000, 12000)}
    best = max(means, key=lambda step: means[step])
    flags = ("--metric", "top1", "--layer", 3, "--best-to", place / "best", "--tokenizer", place)
    assert select(place, *flags, output=None) == 0
    assert f"{100 * means[best]:.2f}  checkpoint_1_{best}.pt" in capsys.readouterr().out
    own, written = (load_file(place / name / "model.safetensors") for name in (f"own{best}3", "best"))
    assert own.keys() == written.keys()
    assert all(torch.equal(own[name], written[name]) for name in own)
    assert not (place / "results.jsonl").exists()
    assert select(place, *flags, output=None) == 2
    assert "best is not empty" in capsys.readouterr().err


def test_damaged_files_are_said_and_left_out(place, capsys):
    whole = (place / "run" / "checkpoint_1_4000.pt").read_bytes()
    (place / "run" / "checkpoint_last.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"epoch": 3}, place / "run" / "state.pt")
    torch.save({"model": torch.nn.Linear(1, 1)}, place / "run" / "pickle.pt")
    (place / "run" / "notes.txt").write_text("not one")
    assert select(place) == 1
    captured = capsys.readouterr()
    assert "checkpoint_last.pt: failed: " in captured.out
    assert "checkpoint_last.pt is truncated or not a torch checkpoint" in captured.out
    assert "state.pt is not a fairseq checkpoint: it holds no state dict named 'model'" in captured.out
    assert "pickle.pt holds Python objects that could run code" in captured.out
    assert "notes.txt" not in captured.out
    assert captured.out.count("checkpoint_1_") > 3
    assert "\nbest: " in captured.out
    assert captured.err == ""


def test_hugging_face_directories(place, capsys):
    hf = place / "hf"
    for step in (2000, 12000):
        checkpoint = place / "run" / f"checkpoint_1_{step}.pt"
        assert exit_code(convert_cli.main, "to-hf", checkpoint, hf / f"checkpoint-{step}") == 0
    shutil.copytree(hf / "checkpoint-2000", hf / "chosen")
    weights = load_file(hf / "chosen" / "model.safetensors")
    weights = {name: value + 0.001 for name, value in weights.items()}
    save_file(weights, hf / "chosen" / "model.safetensors", metadata={"format": "pt"})
    (hf / "empty").mkdir()
    (hf / "empty" / "config.json").write_text("{}")
    assert select(place, "--checkpoints", hf, "--best-to", place / "best") == 1
    out = capsys.readouterr().out
    assert "empty holds no weights" in out
    found = {(r.model, r.config.get("step")) for r in read_results(place / "results.jsonl")}
    assert found == {("hf", 2000), ("hf", 12000), ("chosen", None)}
    best = re.search(r"best: (\S+)", out).group(1)
    assert checkpoints.sha256(f"{best}/model.safetensors") == checkpoints.sha256(place / "best" / "model.safetensors")
    assert re.search(r"\d  +-  +[\d.]+  chosen", out)


def test_results_that_do_not_go_together(place, capsys):
    assert select(place) == 0
    other = load_fairseq(place / "run" / "checkpoint_1_2000.pt")
    other["optimizer_history"][-1]["num_updates"] = 4000
    torch.save(other, place / "run" / "checkpoint_1_4000.pt")
    (place / "run" / "checkpoint_best.pt").unlink()
    capsys.readouterr()
    assert select(place) == 1
    sentence = (
        "results.jsonl has results of another checkpoint that was called run at update 4,000; pass another --name"
    )
    assert sentence in capsys.readouterr().out
    assert select(place, "--name", "second") == 0
    (place / "tatoeba" / "tatoeba.ell-eng.ell").write_text("α\n" * 42)
    assert select(place) == 2
    error = capsys.readouterr().err
    assert "results.jsonl, line 1 was measured on another version of tatoeba eng_Latn to ell_Grek" in error


def test_bad_usage(place, capsys, tmp_path):
    for more, says in [
        (("--checkpoints", place / "nowhere"), "nowhere is not a directory"),
        (("--checkpoints", place / "tatoeba"), "holds neither checkpoints (*.pt) nor Hugging Face directories"),
        (("--data", place / "run"), "holds no tatoeba files"),
        (("--sources", "kor_Hang"), "no tatoeba text in kor_Hang"),
        (("--metric", "top2"), "invalid choice: 'top2'"),
    ]:
        assert select(place, *more) == 2
        assert says in capsys.readouterr().err
    assert not (place / "results.jsonl").exists()
    assert select(place, "--layer", 9, output=None) == 1
    assert "has 3 layers, there is no layer 9" in capsys.readouterr().out


def test_directories_whose_names_end_in_one_number_are_not_mixed(place, capsys):
    """`a-1` and `b-1` would both be the series' update 1."""
    for name, step in (("a-1", 2000), ("b-1", 12000)):
        checkpoint = place / "run" / f"checkpoint_1_{step}.pt"
        assert exit_code(convert_cli.main, "to-hf", checkpoint, place / "other" / name) == 0
    capsys.readouterr()
    assert select(place, "--checkpoints", place / "other") == 1
    assert "are both update 1 by their names; rename one" in capsys.readouterr().out
    assert len({result.model_path for result in read_results(place / "results.jsonl")}) == 1
