"""`ppa-evaluate scripts` end to end, on the tiny model."""

import random
import shutil

import numpy as np
import pytest
import torch
from running import exit_code
from safetensors.torch import load_file, save_file

from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.analysis.probe import accuracy, balance
from ppa_plugin.evaluation.analysis.records import read_analysis
from ppa_plugin.evaluation.analysis.script_barrier import principal_components
from ppa_plugin.evaluation.analysis.sentence_sample import draw
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.files import sha256

# Greek, Persian and Arabic, Hebrew; English is beside them
LANGUAGES = {"ell_Grek": 1, "fas_Arab": 5, "arb_Arab": 4, "heb_Hebr": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory, sentences):
    """130 made-up sentences in five languages: words of a real one, shuffled."""
    directory = tmp_path_factory.mktemp("data")
    for language, i in LANGUAGES.items():
        for code, source in ((language, sentences[i]), ("eng_Latn", sentences[0])):
            lines = [" ".join(random.Random(n).choices(source.split(), k=2 + n % 7)) for n in range(130)]
            (directory / f"sib.{language}-eng_Latn.{code}").write_text("".join(f"{line}\n" for line in lines))
    return directory


def scripts(model, data, output, *flags, task="sib") -> int:
    arguments = ["--model", model, "--data", data, "--task", task, "--output", output, "--device", "cpu", *flags]
    return exit_code(cli.main, "scripts", *arguments)


@pytest.fixture(scope="module")
def measured(tiny_hf_directory, data, tmp_path_factory):
    output = tmp_path_factory.mktemp("measured") / "analysis.jsonl"
    assert scripts(tiny_hf_directory, data, output, "--name", "mine") == 0
    return read_analysis(output)


def test_every_layer_is_probed_and_the_retrieval_layer_projected(measured, tiny_hf_directory):
    probed = [e for e in measured if e["kind"] == "scripts"]
    assert [e["layer"] for e in probed] == [0, 1, 2, 3]
    assert {(e["model"], e["pool"], e["task"], e["chance"], e["folds"], e["seed"]) for e in probed} == {
        ("mine", "all", "sib", 0.25, 5, 42)
    }
    assert all(e["scripts"] == {"Arab": 130, "Grek": 130, "Hebr": 130, "Latn": 130} for e in probed)
    (projection,) = measured[4:]
    assert (projection["kind"], projection["layer"], projection["method"]) == ("projection", 2, "pca")
    assert {e["model_sha256"] for e in measured} == {sha256(tiny_hf_directory / "model.safetensors")}
    assert len({e["data_sha256"] for e in measured}) == 1


def test_figures_are_those_of_the_encoders_vectors(measured, tiny_hf_directory, data):
    languages = sorted([*LANGUAGES, "eng_Latn"])
    samples, digest = draw(RetrievalSet(data, "sib"), languages, 200, seed=42)
    assert measured[0]["data_sha256"] == digest
    sentences = [sentence for sample in samples for sentence in sample.sentences]
    vectors = SentenceEncoder(tiny_hf_directory, layer=2).encode(sentences).numpy()
    chosen = balance(samples)
    found = accuracy(vectors[chosen.rows], chosen, seed=42)
    assert measured[2]["accuracy"] == found.accuracy
    # scripts share no tokens, and a random model keeps them apart; which model it is depends on transformers
    assert measured[2]["accuracy"] > (1 + measured[2]["chance"]) / 2
    projection = measured[-1]
    assert projection["labels"] == [language for language in languages for _ in range(100)]
    shown = np.concatenate([vectors[start : start + 100] for start in range(0, 650, 130)])
    points, shares = principal_components(shown)
    np.testing.assert_allclose(projection["points"], points, atol=5.1e-5)
    np.testing.assert_allclose(projection["explained"], shares, atol=5.1e-5)


def test_chosen_layers_languages_sentences_and_the_table(tiny_hf_directory, data, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    flags = ["--layers", "3,0", "--projection", "1,2", "--languages", "heb_Hebr,eng_Latn,fas_Arab"]
    flags += ["--sentences", 30, "--pool", "content", "--seed", 7]
    for _ in range(2):
        assert scripts(tiny_hf_directory, data, output, *flags) == 0
    found = read_analysis(output)
    assert found[:4] == found[4:]  # the same again, appended
    assert [(e["kind"], e["layer"], e["pool"]) for e in found[:4]] == [
        ("scripts", 0, "content"),
        ("scripts", 3, "content"),
        ("projection", 1, "content"),
        ("projection", 2, "content"),
    ]
    assert found[0]["scripts"] == {"Arab": 30, "Hebr": 30, "Latn": 30}
    assert found[2]["labels"] == ["heb_Hebr"] * 30 + ["eng_Latn"] * 30 + ["fas_Arab"] * 30
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "tiny: sib, 3 layers, pool content, 30 sentences a script, 5 folds; percent"
    assert table[1].split() == ["layer", "accuracy", "chance", "Arab", "Hebr", "Latn"]
    assert table[2].split()[:3] == ["0", f"{100 * found[0]['accuracy']:.1f}", "33.3"]
    assert table[4].startswith("layer 1 in 2-D: 90 points, ")


def test_a_fit_that_is_ended_early_is_said(tiny_hf_directory, data, tmp_path, capsys, monkeypatch):
    from ppa_plugin.evaluation.analysis import probe

    monkeypatch.setattr(probe, "_MOST_ITERATIONS", 1)
    assert scripts(tiny_hf_directory, data, tmp_path / "analysis.jsonl", "--layers", "1") == 0
    assert "note: the probe's fit had not converged at layer 1 when it was ended" in capsys.readouterr().out
    assert not read_analysis(tmp_path / "analysis.jsonl")[0]["converged"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--layers", "0,4"), "has 3 layers, there is no layer 4"),
        (("--projection", "9"), "has 3 layers, there is no layer 9"),
        (("--languages", "fas_Arab,arb_Arab"), "fas_Arab, arb_Arab: only one script (Arab)"),
        (("--languages", "fas_Arab,kor_Hang"), "has no sib text in kor_Hang; found: arb_Arab, "),
        (("--sentences", "4"), "4 sentences a script are too few to cross-validate in 5 folds; raise --sentences"),
    ],
)
def test_bad_usage_is_one_sentence_and_writes_nothing(tiny_hf_directory, data, tmp_path, capsys, flags, says):
    assert scripts(tiny_hf_directory, data, tmp_path / "analysis.jsonl", *flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert says in error
    assert "\n" not in error
    assert not (tmp_path / "analysis.jsonl").exists()


def test_bad_data_and_models_are_one_sentence(tiny_hf_directory, data, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    assert scripts(tiny_hf_directory, data, output, task="bible") == 2
    assert "holds no bible files" in capsys.readouterr().err
    copy = shutil.copytree(tiny_hf_directory, tmp_path / "copy")
    (copy / "sentencepiece.bpe.model").unlink()
    assert scripts(copy, data, output) == 2
    assert "holds no tokenizer" in capsys.readouterr().err
    spoilt = shutil.copytree(tiny_hf_directory, tmp_path / "spoilt")
    weights = load_file(spoilt / "model.safetensors")
    weights["roberta.encoder.layer.1.output.dense.bias"][:] = torch.nan
    save_file(weights, spoilt / "model.safetensors", metadata={"format": "pt"})
    assert scripts(spoilt, data, output) == 2
    assert (
        "holds NaN or infinite weights in encoder.layer.1.output.dense.bias; start from an earlier one"
        in capsys.readouterr().err
    )
    assert not output.exists()
