"""The model card: data and recipe as they were, and its code, which is run as it stands there."""

import json
import re
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from running import exit_code

from ppa_plugin.convert import card, cli, sentence_vectors
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder

README = Path(__file__).parents[3] / "README.md"
CONFIG = {"model_type": "xlm-roberta", "num_hidden_layers": 12, "hidden_size": 768, "vocab_size": 401145}


def made_card(tmp_path, **settings):
    checkpoint = {"cfg": {"task": {"data": f"{tmp_path}/data-bin/shard00:{tmp_path}/data-bin/shard01"}, **settings}}
    return card.model_card("aligned", CONFIG, checkpoint, {}, ("<s>", "</s>"))


def test_the_data_is_that_of_the_manifest(tmp_path):
    languages = {
        "ell_Grek": {"train": 12345, "romanizer": {"name": "uroman", "version": "1.3.1.1"}},
        "tur_Latn": {"train": 7, "romanizer": None},
        "zho_Hani": {
            "train": 8,
            "romanizer": [{"name": "uroman", "version": "1.3.1.1"}, {"name": "pypinyin", "version": "pypinyin 0.55.0"}],
        },
        "hin_Deva": {"train": 9, "romanizer": [{"name": "icu", "version": "PyICU 2.17, ICU 72.1"}]},
    }
    (tmp_path / "data-bin" / "shard00").mkdir(parents=True)
    (tmp_path / "data-bin" / "manifest.json").write_text(json.dumps({"languages": languages}))
    text = made_card(tmp_path)
    assert "| ell_Grek | 12,345 | uroman 1.3.1.1 |\n| tur_Latn | 7 | brought along |" in text
    assert "| zho_Hani | 8 | uroman 1.3.1.1 and pypinyin 0.55.0 |\n| hin_Deva | 9 | PyICU 2.17, ICU 72.1 |" in text
    head = text.split("---")[1]
    assert head.splitlines()[1:5] == ["license: other", "language:", "- ell", "- tur"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"languages": 3}'])
def test_without_a_manifest_the_card_says_so(tmp_path, content):
    (tmp_path / "data-bin").mkdir()
    if content:
        (tmp_path / "data-bin" / "manifest.json").write_text(content)
    text = made_card(tmp_path)
    assert "the manifest of the shards was not found" in text
    assert "language:" not in text


@pytest.mark.parametrize(
    ("criterion", "layer", "says"),
    [
        (
            {"seq_weight": 1.0},
            8,
            "means over all tokens, `<s>` and `</s>` too, of layer 8, which is where the con",
        ),
        ({"seq_weight": 0.5, "seq_layer": 5}, 5, "`<s>` and `</s>` too, of layer 5, which is where the contrastive"),
        ({"seq_weight": 1.0, "seq_layer": None}, 8, "of layer 8, which is where the contrastive term was applied"),
        ({"seq_weight": 1.0, "seq_layer": 0}, 0, "of layer 0 (the embeddings), which is where the contrastive term"),
        ({"seq_weight": 1.0, "seq_pooling": "cls"}, 8, "the vectors of `<s>` in layer 8, which is where the contras"),
        ({"seq_weight": 0.0, "seq_layer": 5}, 8, "trained without the contrastive term. Sentence vectors are means"),
        ({"seq_weight": 0.0}, 8, "`</s>` too, of layer 8, as `ppa-evaluate` takes them by default:"),
        ({}, 8, "training only. Sentence vectors are means over all tokens, `<s>` and `</s>` too, of layer 8, as"),
    ],
)
def test_sentence_vectors_are_those_of_the_layer_that_was_trained(tmp_path, criterion, layer, says):
    text = made_card(tmp_path, criterion=criterion)
    assert sentence_vectors.chosen(criterion, 12) == (layer, criterion.get("seq_pooling", "mean"))
    assert says in " ".join(text.split())
    assert ("contrastive term was applied" in text) == bool(criterion.get("seq_weight"))


def convert_there_and_back(hf_directory, tmp_path, name):
    for arguments in (
        ("to-fairseq", hf_directory, tmp_path / "fairseq"),
        ("to-hf", tmp_path / "fairseq" / "model.pt", tmp_path / name),
    ):
        assert exit_code(cli.main, *arguments) == 0


def test_the_cards_sentence_transformers_code_gives_our_vectors(tiny_hf_directory, sentences, tmp_path):
    pytest.importorskip("sentence_transformers")
    convert_there_and_back(tiny_hf_directory, tmp_path, "hf")
    blocks = re.findall(r"```python\n(.*?)```", (tmp_path / "hf" / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    assert "SentenceTransformer" in blocks[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(blocks[1].replace("DIRECTORY", str(tmp_path / "hf")), names)
    ours = SentenceEncoder(tmp_path / "hf").encode(["Αθήνα", "Athens"])
    theirs = torch.tensor(names["vectors"])
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


def test_the_readmes_code_runs_and_ranks_by_our_vectors(tiny_hf_directory, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sentence_transformers")
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= 10
    convert_there_and_back(tiny_hf_directory, tmp_path, "aligned")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, names)
    encoder = SentenceEncoder(tmp_path / "aligned")
    queries, candidates = (F.normalize(encoder.encode(names[each])) for each in ("queries", "names"))
    scores = queries @ candidates.T
    torch.testing.assert_close(names["scores"], scores, rtol=1e-4, atol=1e-5)
    shown = [line.rsplit(" ", 1)[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        f"{query} {names['names'][int(row.argmax())]}" for query, row in zip(names["queries"], scores, strict=True)
    ]
