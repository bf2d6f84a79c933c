"""What is measured is the model of the directory, whole and finite, however it was saved; else one sentence."""

import json
import shutil

import pytest
import torch
import yaml
from learner import make_learner
from running import exit_code
from safetensors.torch import load_file, save_file, save_model

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import cli as convert_cli
from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.evaluation.transfer.finetune import drawn_from, load_with_head

CLASSIFY, TAG = "AutoModelForSequenceClassification", "AutoModelForTokenClassification"
WORDS = "embeddings.word_embeddings.weight"
LABELS = [str(i) for i in range(6)]


@pytest.fixture(scope="module")
def plain(tiny_hf_directory, tmp_path_factory):
    """A model that fine-tuning moves, as `save_pretrained` writes it."""
    return make_learner(tiny_hf_directory, tmp_path_factory.mktemp("whole") / "plain")


@pytest.fixture(scope="module")
def data(sentences, tmp_path_factory):
    """Tatoeba in two languages, SIB-200 and NER in one."""
    root = tmp_path_factory.mktemp("data")
    for code, texts in (("ell", sentences[1:13]), ("eng", [f"{s} city" for s in reversed(sentences[1:13])])):
        (root / f"tatoeba.ell-eng.{code}").write_text("\n".join(texts) + "\n")
    for task, rows in (
        ("sib200", [f"{i}\t{label}\t{sentences[i]}" for i, label in enumerate(TASKS["sib200"].labels)] * 2),
        ("ner", ["the\tO", "city\tB-LOC", "", "Peace\tB-PER", ""] * 4),
    ):
        for split in ("train", "dev", "test"):
            path = root / task / "eng_Latn" / f"{split}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{row}\n" for row in rows))
    return root


def edit_weights(directory, edit):
    path = directory / "model.safetensors"
    save_file(edit(load_file(path)), path, metadata={"format": "pt"})


def edit_config(directory, **changes):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def whole_model(directory):
    return import_transformers().AutoModelForMaskedLM.from_pretrained(directory)


def tied_in_safetensors(directory):
    save_model(whole_model(directory), str(directory / "model.safetensors"), metadata={"format": "pt"})


def tied_in_bin(directory):
    tied_in_safetensors(directory)
    state = load_file(directory / "model.safetensors")
    torch.save(state, directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()


def tied_in_shards(directory):
    tied_in_safetensors(directory)
    state = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    shards = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(state)}
    for shard in set(shards.values()):
        part = {name: tensor for name, tensor in state.items() if shards[name] == shard}
        save_file(part, directory / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": shards}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


TIED = [tied_in_safetensors, tied_in_bin, tied_in_shards]


def of_data_parallel(directory):
    edit_weights(directory, lambda state: {f"module.{name}": tensor for name, tensor in state.items()})


def of_fewer_layers(directory):
    edit_config(directory, num_hidden_layers=4)


def of_more_layers(directory):
    edit_config(directory, num_hidden_layers=1)


def of_another_width(directory):
    edit_config(directory, intermediate_size=30)


def of_another_vocabulary(directory):
    edit_config(directory, vocab_size=400)


def with_bad_value(value, name):
    def spoil(directory):
        def edit(state):
            state[name].view(-1)[3] = value
            return state

        edit_weights(directory, edit)

    return spoil


NOT_WHOLE = [
    (of_data_parallel, r"do not have (roberta\.)?embeddings\.LayerNorm\.bias, which config.json calls for"),
    (of_fewer_layers, r"do not have (roberta\.)?encoder\.layer\.2\.attention\..*, which config.json calls for$"),
    (
        of_more_layers,
        r"weights have (roberta\.)?encoder\.layer\.1\.attention\..*, for which config.json leaves no",
    ),
    (of_another_width, r"layer\.0\.intermediate\.dense\.bias has another shape in its weights than config.json"),
    (of_another_vocabulary, r"word_embeddings\.weight has another shape in its weights than config.json calls for"),
    (
        with_bad_value(torch.nan, "roberta.encoder.layer.1.output.dense.weight"),
        r"holds NaN or infinite weights in (roberta\.)?encoder\.layer\.1\.output\.dense\.weight; start from an earlier",
    ),
    (with_bad_value(torch.inf, f"roberta.{WORDS}"), r"holds NaN or infinite weights in (roberta\.)?embeddings\.word"),
]


def spoilt(plain, place, spoil):
    copy = shutil.copytree(plain, place / "copy")
    spoil(copy)
    return copy


@pytest.mark.parametrize("spoil", TIED)
def test_tied_embeddings_stored_under_the_heads_name_are_found(plain, tmp_path, sentences, spoil):
    copy = spoilt(plain, tmp_path, spoil)
    expected = SentenceEncoder(plain, "all").encode_layers(sentences)
    assert torch.equal(SentenceEncoder(copy, "all").encode_layers(sentences), expected)
    for auto_class in (CLASSIFY, TAG):
        networks = []
        for directory in (plain, copy):
            with drawn_from(3, torch.device("cpu")):
                networks.append((load_with_head(directory, auto_class, LABELS), torch.rand(3)))
        (one, drawn), (other, drawn_too) = networks
        assert torch.equal(drawn, drawn_too)
        assert one.state_dict().keys() == other.state_dict().keys()
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_another_architectures_tied_embeddings_are_found(sentencepiece_path, tmp_path, sentences):
    transformers = import_transformers()
    config = transformers.BertConfig(
        vocab_size=400,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    directory = tmp_path / "bert"
    transformers.BertForMaskedLM(config).save_pretrained(directory)
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    shutil.copyfile(sentencepiece_path, directory / "sentencepiece.bpe.model")
    expected = SentenceEncoder(directory).encode(sentences)
    edit_weights(directory, lambda state: state | {"cls.predictions.decoder.weight": state.pop(f"bert.{WORDS}")})
    assert f"bert.{WORDS}" not in load_file(directory / "model.safetensors")
    assert torch.equal(SentenceEncoder(directory).encode(sentences), expected)


def test_an_untied_output_projection_is_no_embedding(plain, tmp_path):
    copy = spoilt(plain, tmp_path, tied_in_safetensors)
    edit_config(copy, tie_word_embeddings=False)
    with pytest.raises(UserError, match=f"do not have {WORDS}, which config.json calls for"):
        SentenceEncoder(copy)


@pytest.mark.parametrize(("spoil", "says"), NOT_WHOLE)
def test_weights_that_are_not_the_configs_are_one_sentence(plain, tmp_path, spoil, says):
    copy = spoilt(plain, tmp_path, spoil)
    for layer in (0, None, "all"):  # also where what is wrong lies above the layer asked for
        with pytest.raises(UserError, match=says):
            SentenceEncoder(copy, layer)
    for auto_class in (CLASSIFY, TAG):
        with pytest.raises(UserError, match=says):
            load_with_head(copy, auto_class, LABELS)


def test_poolers_and_buffers_and_other_heads_may_be_there(plain, tmp_path, sentences):
    copy = spoilt(plain, tmp_path, lambda directory: None)
    more = {
        "roberta.pooler.dense.weight": torch.ones(16, 16),
        "roberta.pooler.dense.bias": torch.ones(16),
        "roberta.embeddings.position_ids": torch.arange(514)[None],
        "qa_outputs.weight": torch.ones(2, 16),
    }
    edit_weights(copy, lambda state: state | more)
    assert torch.equal(SentenceEncoder(copy).encode(sentences), SentenceEncoder(plain).encode(sentences))
    load_with_head(copy, CLASSIFY, LABELS)
    # an encoder that was saved alone, with its pooler or without
    for options in ({}, {"add_pooling_layer": False}):
        import_transformers().XLMRobertaModel.from_pretrained(copy, **options).save_pretrained(copy)
        assert torch.equal(SentenceEncoder(copy).encode(sentences), SentenceEncoder(plain).encode(sentences))
        load_with_head(copy, TAG, LABELS)


def commands(model, data, output):
    """Every command that measures weights, as a user calls it."""
    shared = ("--model", model, "--output", output, "--device", "cpu")
    tatoeba = ("--data", data, "--task", "tatoeba")
    source = ("--sources", "eng_Latn", "--seeds", "1", "--epochs", "1", "--learning-rate", "1e-2")
    return {
        "retrieval": (*shared, *tatoeba, "--sources", "eng_Latn", "--layer", "1"),
        "scripts": (*shared, *tatoeba, "--sentences", "10"),
        "tokens": (*shared, *tatoeba, "--sentences", "10"),
        "classify": (*shared, "--data", data, "--task", "sib200", *source),
        "tag": (*shared, "--data", data, "--task", "ner", *source),
    }


@pytest.mark.parametrize("command", ["retrieval", "scripts", "tokens", "classify", "tag"])
def test_every_command_measures_the_model_or_exits_2(plain, data, tmp_path, capsys, command):
    def values(model, name):
        output = tmp_path / f"{name}.jsonl"
        assert exit_code(cli.main, command, *commands(model, data, output)[command]) == 0
        records = [json.loads(line) for line in output.read_text().splitlines()]
        return [{key: of for key, of in record.items() if "model" not in key} for record in records]

    model = shutil.copytree(plain, tmp_path / "tied" / "plain")
    tied_in_safetensors(model)
    assert values(model, "tied") == values(plain, "plain")
    capsys.readouterr()
    for number, (spoil, name) in enumerate(
        [(of_data_parallel, "LayerNorm.bias"), (of_fewer_layers, "layer.2."), (NOT_WHOLE[-1][0], "word_embeddings")]
    ):
        (place := tmp_path / str(number)).mkdir()
        bad = spoilt(plain, place, spoil)
        assert exit_code(cli.main, command, *commands(bad, data, tmp_path / "bad.jsonl")[command]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert name in error
    assert not (tmp_path / "bad.jsonl").exists()


def test_select_and_suite_leave_out_what_is_not_whole_and_say_it(plain, data, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(plain, run / "step1")
    shutil.copytree(plain, run / "step2")
    for number, spoil in enumerate((of_data_parallel, of_fewer_layers, NOT_WHOLE[-1][0]), 3):
        spoil(shutil.copytree(plain, run / f"step{number}"))
    tied_in_safetensors(run / "step2")
    assert exit_code(cli.main, "select", "--checkpoints", run, "--data", data, "--output", tmp_path / "r") == 1
    out = capsys.readouterr().out
    assert [line.split(": ")[1] for line in out.splitlines() if line.startswith("[")][2:] == ["failed"] * 3
    values = {step: [r.value for r in read_results(tmp_path / "r") if r.config["step"] == step] for step in (1, 2)}
    assert values[1] == values[2]
    assert len(values[1]) == 3
    models = [{"path": str(run / f"step{n}"), "name": f"m{n}"} for n in (2, 4)]
    suite = {"models": models, "tasks": {"tatoeba": {"data": str(data), "sources": ["eng_Latn"]}}}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    flags = ("--config", tmp_path / "suite.yaml", "--output", tmp_path / "s", "--jobs", 0, "--device", "cpu")
    assert exit_code(cli.main, "suite", *flags) == 1
    assert [r.value for r in read_results(tmp_path / "s")] == values[2]
    assert "m4, tatoeba from eng_Latn: failed" in capsys.readouterr().out


def test_infinite_weights_are_not_converted(tiny_hf_directory, tmp_path, capsys):
    name = "roberta.encoder.layer.1.output.dense.weight"
    bad = spoilt(tiny_hf_directory, tmp_path, with_bad_value(torch.nan, name))
    assert exit_code(convert_cli.main, "to-fairseq", bad, tmp_path / "fs") == 2
    assert f"holds NaN or infinite weights in {name}; start from an earlier one" in capsys.readouterr().err
    assert exit_code(convert_cli.main, "to-fairseq", tiny_hf_directory, tmp_path / "good") == 0
    checkpoint = torch.load(tmp_path / "good" / "model.pt", weights_only=True)
    name = "encoder.sentence_encoder.layers.1.fc2.weight"
    checkpoint["model"][name][0, 0] = -torch.inf
    torch.save(checkpoint, tmp_path / "good" / "model.pt")
    assert exit_code(convert_cli.main, "to-hf", tmp_path / "good" / "model.pt", tmp_path / "hf") == 2
    assert f"holds NaN or infinite weights in {name}; start from an earlier one" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "good"]


@pytest.fixture
def with_added_tokens(plain, tmp_path):
    copy = shutil.copytree(plain, tmp_path / "added")
    tokenizer = import_transformers().AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(["<one>", "<two>", "<three>"])
    tokenizer.save_pretrained(copy)
    (copy / "sentencepiece.bpe.model").unlink(missing_ok=True)
    return copy


@pytest.mark.parametrize("command", ["retrieval", "scripts", "tokens", "classify", "tag", "vocabulary"])
def test_tokens_without_a_row_in_the_embedding_are_one_sentence(with_added_tokens, data, tmp_path, capsys, command):
    output = tmp_path / "results.jsonl"
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "eng_Latn.txt").write_text("city\n")
    vocabulary = ("--model", with_added_tokens, "--data", tmp_path / "corpus", "--output", output)
    flags = commands(with_added_tokens, data, output) | {"vocabulary": vocabulary}
    assert exit_code(cli.main, command, *flags[command]) == 2
    assert "its tokenizer has 315 ids, its embedding 312 rows; take the tokenizer" in capsys.readouterr().err
    assert not output.exists()


def test_more_rows_than_ids_are_padding(with_added_tokens, plain, sentences):
    model = whole_model(plain)
    expected = SentenceEncoder(plain).encode(sentences)
    model.resize_token_embeddings(320)
    model.save_pretrained(with_added_tokens)
    assert torch.equal(SentenceEncoder(with_added_tokens).encode(sentences), expected)
    load_with_head(with_added_tokens, CLASSIFY, LABELS)


def longer(directory, positions):
    """The model with a larger table of positions."""

    def edit(state):
        name = "roberta.embeddings.position_embeddings.weight"
        return state | {name: torch.cat([state[name]] * 2)[: positions + 2].contiguous()}

    edit_weights(directory, edit)
    edit_config(directory, max_position_embeddings=positions + 2)


@pytest.mark.parametrize("stated", [None, 1024, int(1e30)])
def test_a_model_of_more_positions_takes_longer_sentences(plain, data, tmp_path, capsys, stated):
    copy = spoilt(plain, tmp_path, lambda directory: longer(directory, 1024))
    if stated:
        config = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": stated}
        (copy / "tokenizer_config.json").write_text(json.dumps(config))
    flags = commands(copy, data, tmp_path / "r")
    assert exit_code(cli.main, "tag", *flags["tag"], "--max-length", "700") == 0
    assert exit_code(cli.main, "classify", *flags["classify"], "--max-length", "1024") == 0
    assert {r.config["max_length"] for r in read_results(tmp_path / "r")} == {700, 1024}
    capsys.readouterr()
    assert exit_code(cli.main, "classify", *flags["classify"], "--max-length", "1025") == 2
    assert "--max-length 1025 is more than the 1024 tokens that the model takes" in capsys.readouterr().err
    assert SentenceEncoder(copy).max_length == 512  # the paper's


def test_a_tokenizer_that_is_set_to_less_than_the_model_takes_is_named(plain, data, tmp_path, capsys):
    copy = spoilt(plain, tmp_path, lambda directory: longer(directory, 1024))
    config = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512}
    (copy / "tokenizer_config.json").write_text(json.dumps(config))
    assert exit_code(cli.main, "tag", *commands(copy, data, tmp_path / "r")["tag"], "--max-length", "700") == 2
    assert "700 is more than the 512 tokens that its tokenizer is set to (model_max_length" in capsys.readouterr().err


def test_a_head_that_was_trained_is_said_whatever_its_size_or_task(plain, tmp_path):
    transformers = import_transformers()
    for kind in ("XLMRobertaForSequenceClassification", "XLMRobertaForTokenClassification"):
        for labels in (6, 7):
            made = shutil.copytree(plain, tmp_path / f"{kind}{labels}")
            getattr(transformers, kind).from_pretrained(plain, num_labels=labels).save_pretrained(made)
            for auto_class in (CLASSIFY, TAG):
                with pytest.raises(UserError, match="has a trained head already; pass the encoder that it was made fr"):
                    load_with_head(made, auto_class, LABELS)
            SentenceEncoder(made)  # sentences have no need of a head


def test_a_head_for_questions_is_left_out(plain, tmp_path):
    made = shutil.copytree(plain, tmp_path / "questions")
    import_transformers().XLMRobertaForQuestionAnswering.from_pretrained(plain).save_pretrained(made)
    with drawn_from(1, torch.device("cpu")):
        network = load_with_head(made, CLASSIFY, LABELS)
    with drawn_from(1, torch.device("cpu")):
        expected = load_with_head(plain, CLASSIFY, LABELS).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
