"""`ppa-evaluate retrieval` and `ppa-report` as a user calls them."""

import json
import os
import shutil

import pytest
import torch
from running import exit_code

from ppa_plugin.convert import cli as convert_cli
from ppa_plugin.evaluation import cli, report
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.files import sha256


@pytest.fixture(scope="module")
def model(tiny_hf_directory, tmp_path_factory):
    """A directory as `ppa-convert to-hf` writes it."""
    made = tmp_path_factory.mktemp("evaluation")
    assert exit_code(convert_cli.main, "to-fairseq", tiny_hf_directory, made / "fairseq") == 0
    assert exit_code(convert_cli.main, "to-hf", made / "fairseq" / "model.pt", made / "tiny") == 0
    return made / "tiny"


@pytest.fixture
def data(tmp_path, sentences):
    """Three languages in the SR-B layout, and two in LASER's."""
    directory = tmp_path / "data"
    directory.mkdir()
    texts = {"ell_Grek": sentences[:6], "fas_Arab": sentences[6:12], "tur_Latn": sentences[12:18]}
    for language, lines in texts.items():
        (directory / f"bible.{language}-eng_Latn.{language}").write_text("\n".join(lines) + "\n")
        (directory / f"bible.{language}-eng_Latn.eng_Latn").write_text("".join(f"verse {i}\n" for i in range(6)))
    for code in ("cmn", "eng"):
        (directory / f"tatoeba.cmn-eng.{code}").write_text("".join(f"{code} {i}\n" for i in range(4)))
    return directory


def retrieve(model, data, output, *more, task="bible", sources="eng_Latn"):
    flags = ["--model", model, "--data", data, "--task", task, "--sources", sources, "--output", output]
    return exit_code(cli.main, "retrieval", *flags, *more)


def test_every_pair_is_measured_and_every_text_embedded_once(model, data, tmp_path, capsys, monkeypatch):
    calls = []
    encode = SentenceEncoder.encode_layers
    monkeypatch.setattr(
        SentenceEncoder,
        "encode_layers",
        lambda self, texts, *args, **more: calls.append(texts) or encode(self, texts, *args, **more),
    )
    output = tmp_path / "results.jsonl"
    assert retrieve(model, data, output, sources="eng_Latn,fas_Arab") == 0
    assert len(calls) == 4
    results = read_results(output)
    pairs = [("eng_Latn", t) for t in ("ell_Grek", "fas_Arab", "tur_Latn")]
    pairs += [("fas_Arab", t) for t in ("ell_Grek", "tur_Latn")]  # English only where it is named
    assert [(r.source, r.target) for r in results] == [pair for pair in pairs for _ in range(3)]
    assert [r.metric for r in results[:3]] == ["top1", "top5", "top10"]
    assert {(r.model, r.layer, r.pool, r.seed, r.n, r.task) for r in results} == {("tiny", 2, "all", None, 6, "bible")}
    assert {r.model_sha256 for r in results} == {sha256(model / "model.safetensors")}
    assert all(r.value == 1.0 for r in results if r.metric == "top10")  # six candidates
    table = capsys.readouterr().out
    assert table.startswith("tiny: layer 2 of 3, pool all, on ")
    assert "bible, from fas_Arab" in table
    assert "non-Latin script (2)" in table


def test_values_are_those_of_the_vectors_in_numpy(model, data, tmp_path, sentences):
    output = tmp_path / "results.jsonl"
    assert retrieve(model, data, output, "--layer", 1, "--pool", "content", "--targets", "ell_Grek") == 0
    encoder = SentenceEncoder(model, layer=1, pool="content")
    queries = encoder.encode([f"verse {i}" for i in range(6)]).double().numpy()
    candidates = encoder.encode(sentences[:6]).double().numpy()
    norms = (queries**2).sum(1)[:, None] ** 0.5 * (candidates**2).sum(1)[None] ** 0.5
    similarity = queries @ candidates.T / norms
    ranks = [(row >= row[i]).sum() - 1 for i, row in enumerate(similarity)]
    for result in read_results(output):
        assert result.value == sum(rank < int(result.metric[3:]) for rank in ranks) / 6


def test_all_layers_at_once_are_those_of_a_run_each(model, data, tmp_path, capsys):
    together = tmp_path / "together.jsonl"
    assert retrieve(model, data, together, "--layer", "all") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("tiny: layers 0, 1, 2, 3 of 3, pool all, on ")
    assert [line for line in printed.splitlines() if line.startswith("layer ")] == [f"layer {k}" for k in range(4)]
    for layer in range(4):
        assert retrieve(model, data, tmp_path / "alone.jsonl", "--layer", layer) == 0
    alone = read_results(tmp_path / "alone.jsonl")
    assert sorted(map(repr, read_results(together))) == sorted(map(repr, alone))
    assert retrieve(model, data, tmp_path / "some.jsonl", "--layer", "3,0") == 0
    assert [r.layer for r in read_results(tmp_path / "some.jsonl")] == [3, 3, 3, 0, 0, 0] * 3


def test_the_step_of_a_checkpoint_and_the_batches_stand_in_the_results(model, data, tmp_path):
    output = tmp_path / "results.jsonl"
    assert retrieve(model, data, output, "--step", 52000, "--batch-size", 3, "--max-tokens", 99) == 0
    config = read_results(output)[0].config
    assert (config["step"], config["batch_size"], config["max_tokens"], config["precision"]) == (52000, 3, 99, "fp32")
    assert retrieve(model, data, tmp_path / "plain.jsonl") == 0
    assert "step" not in read_results(tmp_path / "plain.jsonl")[0].config


def test_lasers_files_and_codes(model, data, tmp_path):
    output = tmp_path / "results.jsonl"
    assert retrieve(model, data, output, "--name", "mine", task="tatoeba", sources="eng,cmn") == 0
    found = {(r.model, r.source, r.target, r.n) for r in read_results(output)}
    assert found == {("mine", "eng_Latn", "zho_Hani", 4), ("mine", "zho_Hani", "eng_Latn", 4)}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"sources": "kor_Hang"}, "no bible text in kor_Hang; found: ell_Grek, eng_Latn, fas_Arab, tur_Latn"),
        ({"sources": "korean"}, "'korean' is not a language code"),
        ({"task": "sib"}, "holds no sib files"),
        ({"layer": 9}, "has 3 layers, there is no layer 9"),
        ({"layer": "0,4,9"}, "has 3 layers, there is no layer 4"),
        ({"precision": "bf16", "device": "cpu"}, "--precision bf16 needs --device cuda"),
        ({"model": "nowhere/at/all"}, "not a directory"),
        ({"targets": "eng_Latn"}, "the only target is the source itself"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_bad_usage_is_one_sentence_and_writes_nothing(model, data, tmp_path, capsys, more, says):
    flags = {"sources": "eng_Latn", "task": "bible", "model": str(model), "data": data, **more}
    output = tmp_path / "results.jsonl"
    arguments = [part for name, value in flags.items() for part in (f"--{name}", value)]
    assert exit_code(cli.main, "retrieval", *arguments, "--output", output) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert says in error.replace("korean is", "'korean' is")
    assert "\n" not in error
    assert not output.exists()


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--layer", "0,top", "argument --layer: 0,top is neither a layer, nor layers such as 0,4,8, nor all"),
        ("--layer", "-1", "argument --layer: -1 is neither a layer"),
        ("--layer", "all,1", "argument --layer: all,1 is neither a layer"),
        ("--step", "-5", "argument --step: -5 is not a whole number of at least 0"),
        ("--max-tokens", "0", "argument --max-tokens: 0 is not a positive whole number"),
    ],
)
def test_a_mistyped_flag_is_named(tmp_path, capsys, flag, value, says):
    assert retrieve("nowhere", tmp_path, tmp_path / "results.jsonl", flag, value) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "results.jsonl").exists()


def test_a_directory_of_fairseq_is_said_to_be_one(data, tmp_path, capsys):
    (tmp_path / "glot500").mkdir()
    (tmp_path / "glot500/model.pt").write_bytes(b"")
    assert retrieve(tmp_path / "glot500", data, tmp_path / "results.jsonl") == 2
    said = capsys.readouterr().err
    assert said.endswith(f", but fairseq's: ppa-convert to-hf {tmp_path}/glot500/model.pt OUT_DIR writes such\n")
    assert said.count("\n") == 1


def test_a_model_without_tokenizer_or_weights(model, data, tmp_path, capsys):
    for missing, says in (("tokenizer.json", "holds no tokenizer"), ("model.safetensors", "holds no weights")):
        copy = shutil.copytree(model, tmp_path / missing)
        for name in {missing, "sentencepiece.bpe.model"}:
            (copy / name).unlink()
        assert retrieve(copy, data, tmp_path / "results.jsonl") == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "results.jsonl").exists()


def test_report(model, data, tmp_path, capsys):
    output = tmp_path / "results.jsonl"
    assert retrieve(model, data, output, "--name", "base") == 0
    assert retrieve(model, data, output, "--name", "aligned", "--layer", 1) == 0
    capsys.readouterr()
    assert exit_code(report.main, output, "--output", tmp_path / "report") == 0
    assert "bible, from eng_Latn, top10" in capsys.readouterr().out
    expected = ["bible_eng_Latn_top10.png", "bible_eng_Latn_top10.svg", "overview_bible.png", "overview_bible.svg"]
    expected += ["report.html", "results.csv", "results.md", "results.tex", "tables"]
    assert sorted(os.listdir(tmp_path / "report")) == expected
    assert (tmp_path / "report" / expected[0]).read_bytes().startswith(b"\x89PNG")
    assert b"</svg>" in (tmp_path / "report" / expected[1]).read_bytes()
    markdown = (tmp_path / "report" / "results.md").read_text()
    assert markdown.count("### bible") == 3
    assert "| target | aligned | base |" in markdown


def test_report_of_nothing(tmp_path, capsys):
    (tmp_path / "empty.jsonl").write_text("")
    assert exit_code(report.main, tmp_path / "empty.jsonl", "--output", tmp_path / "report") == 2
    assert "no results in" in capsys.readouterr().err
    assert exit_code(report.main, tmp_path / "missing.jsonl", "--output", tmp_path / "report") == 2
    assert "cannot read" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_another_encoder_works_too(tmp_path, data):
    """Any encoder that Transformers loads can be measured: a BERT with a word list."""
    from ppa_plugin.evaluation.encoder.loading import import_transformers

    transformers = import_transformers()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "verse", *map(str, range(10))]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    directory = tmp_path / "bert"
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(directory)
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(directory)
    assert retrieve(directory, data, tmp_path / "results.jsonl") == 0
    assert json.loads((tmp_path / "results.jsonl").read_text().splitlines()[0])["layer"] == 1
