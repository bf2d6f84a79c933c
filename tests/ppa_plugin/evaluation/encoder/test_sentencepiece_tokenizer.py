"""SentencePiece decides wherever an XLM-R's directory has its model, so that what is measured is what was trained."""

import json
import shutil
import unicodedata

import pytest
import torch
from running import exit_code

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import cli
from ppa_plugin.data.vocabulary import load_sentencepiece, to_indices
from ppa_plugin.evaluation.encoder.loading import import_transformers, load_tokenizer
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.encoder.sentencepiece_tokenizer import SentencePieceTokenizer
from ppa_plugin.evaluation.retrieval.top_k import top_k_accuracy
from ppa_plugin.training.retrieval_metric import RetrievalMetric


@pytest.fixture
def copied(tiny_hf_directory, tmp_path):
    return shutil.copytree(tiny_hf_directory, tmp_path / "model")


def test_what_it_gives_is_what_training_reads(tiny_hf_directory, sentencepiece_path, sentences):
    tokenizer, processor = load_tokenizer(tiny_hf_directory), load_sentencepiece(sentencepiece_path)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    ids = [to_indices(row).tolist() for row in processor.encode(sentences)]
    assert tokenizer(sentences)["input_ids"] == [[0, *row, 2] for row in ids]
    assert tokenizer(sentences, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer(sentences[0])["input_ids"] == [0, *ids[0], 2]
    assert tokenizer(sentences, truncation=True, max_length=5)["input_ids"] == [[0, *row[:3], 2] for row in ids]
    assert tokenizer("a", truncation=True, max_length=1)["input_ids"] == [0, 2]
    assert len(tokenizer) == processor.get_piece_size() + 2
    assert (
        tokenizer("<mask></s>", add_special_tokens=False)["input_ids"]
        == to_indices(processor.encode("<mask></s>")).tolist()
    )


@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_decomposed_text_is_measured_as_it_is_trained(
    form, tiny_hf_directory, sentencepiece_path, tiny_model, sentences, tmp_path
):
    """The encoder and the metric of training, on composed text and on the same decomposed."""
    accuracies = set()
    for number, normal in enumerate(("NFC", form)):
        directory = tmp_path / str(number)
        directory.mkdir()
        korean = [unicodedata.normalize(normal, f"{s[:4]} {sentences[16]}") for s in reversed(sentences[5:])]
        for name, lines in {"tatoeba.kor-eng.kor": korean, "tatoeba.kor-eng.eng": sentences[5:]}.items():
            (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        encoder = SentenceEncoder(tiny_hf_directory)
        accuracies.add(top_k_accuracy(encoder.encode(sentences[5:]), encoder.encode(korean))[10])
        accuracies.add(RetrievalMetric(directory, sentencepiece_path, 512)(tiny_model))
    assert len(accuracies) == 1
    assert 0 < accuracies.pop() < 1


def test_a_directory_that_was_converted_encodes_alike_in_transformers(tiny_hf_directory, sentences, tmp_path):
    for arguments in (
        ["to-fairseq", tiny_hf_directory, tmp_path / "fs"],
        ["to-hf", tmp_path / "fs" / "model.pt", tmp_path / "hf"],
    ):
        assert exit_code(cli.main, *arguments) == 0
    theirs = import_transformers().AutoTokenizer.from_pretrained(tmp_path / "hf")
    ours = load_tokenizer(tmp_path / "hf")
    assert theirs.model_max_length == ours.model_max_length == 512
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        text = [unicodedata.normalize(form, s) for s in sentences]
        assert theirs(text)["input_ids"] == ours(text)["input_ids"]


@pytest.mark.parametrize("written", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json"])
def test_tokens_added_to_the_tokenizer_are_not_passed_over(written, copied, capsys):
    """SentencePiece knows none of them: Transformers' files decide, and a line says so."""
    own = len(load_tokenizer(copied))
    assert capsys.readouterr().err == ""
    tokenizer = import_transformers().AutoTokenizer.from_pretrained(copied)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(copied)
    if written != "tokenizer.json":
        content = {"added_tokens_decoder": {str(own): {"content": "<new>"}}} if "config" in written else {"<new>": own}
        config = json.loads((copied / "tokenizer_config.json").read_text())
        (copied / written).write_text(json.dumps({**config, **content} if "config" in written else content))
    loaded = load_tokenizer(copied)
    assert not isinstance(loaded, SentencePieceTokenizer)
    assert f"{copied}: 1 tokens ('<new>', ...) were added to the tokenizer" in capsys.readouterr().err
    assert own in loaded("<new>")["input_ids"]


def test_a_sentencepiece_model_of_another_kind_is_one_sentence(copied):
    (copied / "sentencepiece.bpe.model").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a readable SentencePiece model"):
        load_tokenizer(copied)


def test_sentence_transformers_gives_the_vectors_that_we_measure(tiny_hf_directory, sentences, tmp_path):
    library = pytest.importorskip("sentence_transformers")
    for arguments in (
        ["to-fairseq", tiny_hf_directory, tmp_path / "fs"],
        ["to-hf", tmp_path / "fs" / "model.pt", tmp_path / "hf"],
    ):
        assert exit_code(cli.main, *arguments) == 0
    theirs = library.SentenceTransformer(str(tmp_path / "hf"), device="cpu")
    text = [*sentences, unicodedata.normalize("NFD", sentences[16]), "", "unseen 𓀀"]
    ours = SentenceEncoder(tmp_path / "hf", layer=2, pool="all").encode(text)
    torch.testing.assert_close(torch.from_numpy(theirs.encode(text)), ours, rtol=0, atol=1e-5)
    whole = import_transformers().AutoModel.from_pretrained(tmp_path / "hf")
    assert whole.config.num_hidden_layers == len(whole.encoder.layer) == 3
