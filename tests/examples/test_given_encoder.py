"""An encoder that the miniature is given: with a new head, and cut so that the texts in question fall as before."""

import importlib.util
import sys
from pathlib import Path

import pytest
import sentencepiece
import torch
from running import exit_code
from tiny_xlmr import tiny_config, train_pieces

from ppa_plugin.convert import cli
from ppa_plugin.convert.to_fairseq import read_fairseq
from ppa_plugin.evaluation.encoder.loading import import_transformers

SCRIPT = Path(__file__).parents[2] / "examples/miniature/given_encoder.py"
SENTENCES = [
    "Peace and quiet return to the city.",
    "Η ειρήνη και η ησυχία επιστρέφουν στην πόλη.",
    "Мир и тишина возвращаются в город.",
    "صلح و آرامش به شهر باز می‌گردد.",
    "平安与宁静回到了城里。",
]


@pytest.fixture(scope="module")
def given_encoder():
    spec = importlib.util.spec_from_file_location("given_encoder", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["given_encoder"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["given_encoder"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A random XLM-R of three blocks without a head, as `AutoModel` saves it, and its SentencePiece model."""
    directory = tmp_path_factory.mktemp("encoder")
    train_pieces(SENTENCES, 85, directory / "sentencepiece.bpe.model")
    torch.manual_seed(0)
    model = import_transformers().XLMRobertaModel(tiny_config(87, positions=66), add_pooling_layer=False).eval()
    model.save_pretrained(directory)
    return directory, model


def test_what_occurs_falls_into_the_same_pieces_with_the_same_vectors(given_encoder, encoder, tmp_path):
    directory, whole = encoder
    text = tmp_path / "text.tsv"
    text.write_text("\n".join([f"7\t{SENTENCES[1]}", SENTENCES[0]]) + "\n", encoding="utf-8")
    flags, new_head = given_encoder.prepare(str(directory), tmp_path / "start", [text], blocks=2)
    assert new_head
    assert flags[:4] == ("--arch", "glot500_base", "--encoder-layers", "2")
    cut = read_fairseq(tmp_path / "start")
    assert cut.has_head
    assert cut.vocabulary_size < 87
    assert cut.config["vocab_size"] == cut.vocabulary_size
    old, new = (
        sentencepiece.SentencePieceProcessor(model_file=str(path))
        for path in (directory / "sentencepiece.bpe.model", tmp_path / "start/sentencepiece.bpe.model")
    )
    model = import_transformers().XLMRobertaModel.from_pretrained(as_hugging_face(tmp_path)).eval()
    for sentence in SENTENCES[:2]:
        assert new.encode(sentence, out_type=str) == old.encode(sentence, out_type=str)
        ids = [torch.tensor([[0, *(i + 1 for i in sp.encode(sentence)), 2]]) for sp in (old, new)]
        with torch.inference_mode():
            expected = whole(ids[0], output_hidden_states=True).hidden_states
            found = model(ids[1], output_hidden_states=True).hidden_states
        assert len(found) == 3
        for theirs, ours in zip(expected, found, strict=False):
            torch.testing.assert_close(ours, theirs)


def as_hugging_face(folder):
    assert exit_code(cli.main, "to-hf", folder / "start/model.pt", folder / "hf") == 0
    return folder / "hf"


def test_uncut_it_keeps_all_and_is_not_made_twice(given_encoder, encoder, tmp_path):
    directory, _ = encoder
    flags, new_head = given_encoder.prepare(str(directory), tmp_path / "start", [], blocks=None)
    assert new_head
    made = (tmp_path / "start/model.pt").stat().st_mtime_ns
    assert given_encoder.prepare(str(directory), tmp_path / "start", [], blocks=None)[0] == flags
    assert (tmp_path / "start/model.pt").stat().st_mtime_ns == made
    whole = read_fairseq(tmp_path / "start")
    assert (whole.vocabulary_size, whole.config["num_hidden_layers"], whole.has_head) == (87, 3, True)
