"""Families with rotary positions there and back: weights, config, tokenizer, card, sentence-transformers."""

import filecmp
import json
import shutil

import pytest
import torch
from running import exit_code
from safetensors.torch import load_file
from tiny_families import ALL, GTE, MODERNBERT, needs_gte, save

from ppa_plugin.convert import cli
from ppa_plugin.convert.weights import write_model
from ppa_plugin.data.vocabulary import TextEncoder
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.model import checkpoint

# what each comes with
TOKENIZERS = {
    MODERNBERT: ("tokenizer.json", "tokenizer_config.json"),
    GTE: ("sentencepiece.bpe.model",),
}
OWN = {
    MODERNBERT: {"local_attention": 8, "global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0},
    GTE: {"rope_theta": 20_000.0, "rope_factor": 1.3, "layer_norm_eps": 1e-12},
}
SAME = {
    MODERNBERT: ("layer_types", "rope_parameters", "local_attention", "vocab_size", "pad_token_id", "bos_token_id"),
    GTE: ("rope_parameters", "layer_norm_eps", "vocab_size", "pad_token_id", "hidden_dropout_prob"),
}
AROUND = {MODERNBERT: ("<bos>", "<eos>"), GTE: ("<s>", "</s>")}


def there_and_back(theirs, work, *flags):
    """(what to-fairseq wrote, what to-hf made of that)"""
    assert exit_code(cli.main, "to-fairseq", theirs, work / "fairseq", *flags) == 0
    assert exit_code(cli.main, "to-hf", work / "fairseq" / "model.pt", work / "hf") == 0
    return work / "fairseq", work / "hf"


def assert_same_weights(one, other):
    before, after = (load_file(directory / "model.safetensors") for directory in (one, other))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)


def assert_loads(auto_class, directory):
    _, info = getattr(import_transformers(), auto_class).from_pretrained(directory, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


@pytest.fixture(scope="module", params=ALL)
def tiny(request):
    return request.param


@pytest.fixture(scope="module")
def theirs(tiny, sentences, tmp_path_factory):
    """A directory as a hub repository of the family has it, in BF16, its embedding padded to a multiple of 8."""
    return save(tiny, sentences, tmp_path_factory.mktemp("family") / "hf", 310, padding=8, dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def converted(theirs, tmp_path_factory):
    return there_and_back(theirs, tmp_path_factory.mktemp("converted"))


@pytest.fixture(scope="module")
def modernbert(sentences, tmp_path_factory):
    return save(MODERNBERT, sentences, tmp_path_factory.mktemp("modernbert") / "hf", 400)


def test_there_and_back_is_the_same_to_the_bit(tiny, theirs, converted):
    assert_same_weights(theirs, converted[1])
    before, after = (json.loads((d / "config.json").read_text()) for d in (theirs, converted[1]))
    assert before == after
    for name in TOKENIZERS[tiny]:
        for directory in (*converted, converted[0] / "hf"):
            assert filecmp.cmp(theirs / name, directory / name, shallow=False)
    assert_loads("AutoModelForMaskedLM", converted[1])


def test_the_fairseq_checkpoint_knows_what_the_weights_do_not_show(tiny, converted):
    settings = checkpoint.settings(checkpoint.load_fairseq(converted[0] / "model.pt"), "model")
    assert {name: settings[name] for name in OWN[tiny]} == OWN[tiny]
    assert 1 <= settings["padding_rows"] <= 8


def test_a_directory_of_fairseq_goes_back_without_its_origin(tiny, converted, tmp_path):
    """A run from scratch knows no config.json: it is made of weights, flags and tokenizer."""
    content = checkpoint.load_fairseq(converted[0] / "model.pt")
    config = content.pop(checkpoint.ORIGIN)["config"]
    torch.save(content, tmp_path / "model.pt")
    assert exit_code(cli.main, "to-hf", tmp_path / "model.pt", tmp_path / "hf", "--tokenizer", converted[0]) == 0
    made = import_transformers().AutoConfig.from_pretrained(tmp_path / "hf")
    assert {key: getattr(made, key) for key in SAME[tiny]} == {key: config[key] for key in SAME[tiny]}
    assert_loads("AutoModelForMaskedLM", tmp_path / "hf")


def test_the_card_names_the_family_and_its_specials(tiny, converted):
    text = (converted[1] / "README.md").read_text(encoding="utf-8")
    assert f"- {tiny.family.model_type}\n" in text
    assert f"({tiny.family.title} architecture, 4 layers" in text
    begin, end = AROUND[tiny]
    assert f"means over all tokens, `{begin}` and `{end}` too, of layer 3" in text
    assert "xlm-roberta" not in text


@pytest.mark.parametrize("layer", [None, 4])
def test_sentence_transformers_gives_the_vectors_that_we_measure(converted, sentences, tmp_path, layer):
    """Of a layer below the last: as the block leaves it, without the LayerNorm that follows the last block."""
    library = pytest.importorskip("sentence_transformers")
    content = checkpoint.load_fairseq(converted[0] / "model.pt")
    content["cfg"]["criterion"] = {"seq_weight": 1.0, "seq_layer": layer}
    torch.save(content, tmp_path / "model.pt")
    assert exit_code(cli.main, "to-hf", tmp_path / "model.pt", tmp_path / "hf", "--tokenizer", converted[0]) == 0
    theirs = library.SentenceTransformer(str(tmp_path / "hf"), device="cpu").float()
    ours = SentenceEncoder(tmp_path / "hf", layer=layer, pool="all")
    ours.model.float()
    assert ours.layers == (layer or 3,)
    torch.testing.assert_close(torch.from_numpy(theirs.encode(sentences)), ours.encode(sentences), rtol=1e-4, atol=1e-4)


def test_content_is_without_the_tokens_that_its_tokenizer_adds(modernbert, sentences, tmp_path):
    """Gemma's names them bos and eos, and nothing cls or sep."""
    shutil.copytree(modernbert, tmp_path / "hf")
    path = tmp_path / "hf" / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: settings[key] for key in settings if key not in ("cls_token", "sep_token")}))
    encoders = [SentenceEncoder(tmp_path / "hf", pool=pool) for pool in ("all", "content")]
    everything, content = (encoder.encode(sentences) for encoder in encoders)
    tokenizer = import_transformers().AutoTokenizer.from_pretrained(tmp_path / "hf")
    for text, vector in zip(sentences, content, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            hidden = encoders[0].model(ids, output_hidden_states=True).hidden_states[3][0]
        torch.testing.assert_close(vector, hidden[1:-1].mean(dim=0), rtol=1e-5, atol=1e-5)
    assert (everything - content).abs().max() > 0.01


def test_what_cannot_be_converted_is_one_sentence(modernbert, sentencepiece_path, tmp_path, capsys):
    assert exit_code(cli.main, "to-fairseq", modernbert, tmp_path / "out", "--tokenizer", sentencepiece_path) == 2
    assert "is not of the kind of tokenizer.json" in capsys.readouterr().err
    (tmp_path / "hf").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "hf" / name).write_bytes((modernbert / name).read_bytes())
    assert exit_code(cli.main, "to-fairseq", tmp_path / "hf", tmp_path / "out") == 2
    assert "no tokenizer.json at" in capsys.readouterr().err
    config = json.loads((modernbert / "config.json").read_text()) | {"model_type": "eurobert"}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    assert exit_code(cli.main, "to-fairseq", tmp_path / "hf", tmp_path / "out") == 2
    assert "is a eurobert model; only xlm-roberta, modernbert and gte can be converted" in capsys.readouterr().err


def test_an_encoder_without_a_head_comes_back_as_it_came_and_takes_a_new_one(tiny, theirs, tmp_path):
    import_transformers().AutoModel.from_pretrained(theirs).save_pretrained(tmp_path / "encoder")
    for name in TOKENIZERS[tiny]:
        shutil.copy(theirs / name, tmp_path / "encoder")
    _, back = there_and_back(tmp_path / "encoder", tmp_path / "plain")
    assert_same_weights(tmp_path / "encoder", back)
    _, headed = there_and_back(tmp_path / "encoder", tmp_path / "new", "--new-head")
    assert_loads("AutoModelForMaskedLM", headed)


def test_its_vocabulary_is_not_extended(modernbert, tmp_path, capsys):
    (tmp_path / "text.latn").write_text("some words\n" * 20)
    arguments = ("--text", tmp_path / "text.latn", "--pieces", 5)
    assert exit_code(cli.main, "extend", modernbert, tmp_path / "out", *arguments) == 2
    assert "no SentencePiece model, whose vocabulary alone can be extended" in capsys.readouterr().err


@pytest.fixture(scope="module")
def gte(sentences, tmp_path_factory):
    return save(GTE, sentences, tmp_path_factory.mktemp("gte") / "hf", 310)


@needs_gte
def test_a_gte_under_the_authors_own_prefix_comes_back_under_transformers(gte, tmp_path, capsys):
    """As the published files are; its epsilon is computed with as it is, so nothing warns of it."""
    state = load_file(gte / "model.safetensors")
    shutil.copytree(gte, tmp_path / "earlier")
    earlier = {name.replace("gte.", "new.", 1): tensor for name, tensor in state.items()}
    write_model(tmp_path / "earlier", earlier, json.loads((gte / "config.json").read_text()))
    _, back = there_and_back(tmp_path / "earlier", tmp_path)
    assert_same_weights(gte, back)
    assert "warning" not in capsys.readouterr().err


@needs_gte
def test_a_gtes_vocabulary_is_extended_and_its_pooler_kept(gte, sentences, tmp_path):
    (tmp_path / "text.latn").write_text("romanized words of it\n" * 20)
    arguments = ("--text", tmp_path / "text.latn", "--pieces", 5)
    assert exit_code(cli.main, "extend", gte, tmp_path / "extended", *arguments) == 0
    assert exit_code(cli.main, "to-hf", tmp_path / "extended" / "model.pt", tmp_path / "hf") == 0
    assert_loads("AutoModelForMaskedLM", tmp_path / "hf")
    rows = [json.loads((d / "config.json").read_text())["vocab_size"] for d in (gte, tmp_path / "hf")]
    assert rows[1] == rows[0] + 5
    transformers = import_transformers()
    network = transformers.GteModel.from_pretrained(gte, add_pooling_layer=True)
    network.save_pretrained(tmp_path / "encoder")
    shutil.copy(gte / "sentencepiece.bpe.model", tmp_path / "encoder")
    _, back = there_and_back(tmp_path / "encoder", tmp_path / "pooled")
    assert_same_weights(tmp_path / "encoder", back)
    assert "pooler.dense.weight" in load_file(back / "model.safetensors")


@needs_gte
def test_a_gtes_blocks_above_the_layer_are_not_computed(gte, sentences):
    encoder = SentenceEncoder(gte, layer=2)
    assert len(encoder.model.layers) == 2
    both = SentenceEncoder(gte, layer=[2, 4]).encode_layers(sentences)
    torch.testing.assert_close(encoder.encode(sentences), both[0], rtol=0, atol=1e-6)


@needs_gte
def test_training_and_evaluation_read_a_gtes_text_alike(gte, tmp_path):
    """By SentencePiece, for which a special that a text spells is text."""
    _, back = there_and_back(gte, tmp_path)
    lines = ["the <mask> of it", "=====" * 4]
    tokenizer = SentenceEncoder(back).tokenizer
    assert tokenizer(lines, add_special_tokens=False)["input_ids"] == [
        ids.tolist() for ids in TextEncoder(gte / "sentencepiece.bpe.model").encode(lines)
    ]
