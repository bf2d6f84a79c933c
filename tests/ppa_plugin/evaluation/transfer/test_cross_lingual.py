"""`ppa-evaluate classify` and `ppa-evaluate tag` as a user calls them, and how the tagger cuts sentences."""

import dataclasses
import json
import shutil

import pytest
import seqeval.metrics
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learner import make_learner
from running import exit_code
from tiny_families import modernbert_config, train_tokenizer

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.encoder.loading import import_transformers, load_tokenizer
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.tasks import TASKS, Recipe
from ppa_plugin.evaluation.transfer import classify, cross_lingual, tag
from ppa_plugin.evaluation.transfer.finetune import IGNORED
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet, Split, TaggingSet
from ppa_plugin.evaluation.transfer.labelled_files import TaggedSentence
from ppa_plugin.files import sha256

WORDS = {"B-LOC": "city", "B-PER": "Peace", "I-PER": "quiet", "O": "the"}


def run(*arguments) -> int:
    return exit_code(cli.main, *arguments)


@pytest.fixture(scope="module")
def model(tiny_hf_directory, tmp_path_factory):
    return make_learner(tiny_hf_directory, tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def data(sentences, tmp_path_factory):
    """Three languages of SIB-200 with a script a class; NER and POS with a word a tag, in two languages."""
    root = tmp_path_factory.mktemp("data")
    for language in ("eng_Latn", "ell_Grek", "fas_Arab"):
        for split, copies in (("train", 3), ("dev", 2), ("test", 2)):
            rows = [f"{i}\t{label}\t{sentences[i]} {split}" for i, label in enumerate(TASKS["sib200"].labels)] * copies
            write(root / "sib200" / language / f"{split}.tsv", rows)
    tags = ["O B-LOC O", "B-PER I-PER O B-LOC", "O O B-PER", "B-LOC", "O B-PER I-PER I-PER"]
    for language in ("eng_Latn", "ell_Grek"):
        for split in ("train", "dev", "test"):
            rows = [[f"{WORDS[t]}\t{t}" for t in line.split()] + [""] for line in tags * 3]
            write(root / "ner" / language / f"{split}.tsv", [row for sentence in rows for row in sentence])
            tagged = enumerate(TASKS["pos"].labels)
            rows = [f"{i + 1}\tw{i % 9}\t_\t{t}{chr(9) + '_'}{(chr(9) + '_') * 5}" for i, t in tagged]
            write(root / "udpos" / language / f"{split}.conllu", ["# text", *rows, ""] * 3)
    return root


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def flags(model_, data_, output_, task_, **more):
    settings = {"model": model_, "data": data_, "task": task_, "sources": "eng_Latn", "seeds": "42", "output": output_}
    return [part for name, value in (settings | more).items() for part in (f"--{name.replace('_', '-')}", value)]


def test_classify(model, data, tmp_path, capsys):
    output = tmp_path / "results.jsonl"
    more = {"epochs": 18, "learning_rate": 1e-2, "batch_size": 4, "seeds": "42,43", "sources": "eng_Latn,ell_Grek"}
    assert run("classify", *flags(model, data, output, "sib200", **more)) == 0
    results = read_results(output)
    cells = [(s, seed, t) for s in ("eng_Latn", "ell_Grek") for seed in (42, 43) for t in ("ell_Grek", "fas_Arab")]
    assert [(r.source, r.seed, r.target) for r in results] == [cell for cell in cells for _ in range(2)]
    assert [r.metric for r in results[:2]] == ["macro_f1", "accuracy"]
    assert {(r.model, r.task, r.n, r.layer, r.pool) for r in results} == {("small", "sib200", 14, None, None)}
    assert {r.model_sha256 for r in results} == {sha256(model / "model.safetensors")}
    assert max(r.value for r in results if r.source == "eng_Latn") > 0.6  # chance: 1/7
    config = results[0].config
    expected = {"learning_rate": 1e-2, "epochs": 18, "batch_size": 4, "max_length": 160, "accumulation": 1}
    assert {name: config[name] for name in expected} == expected
    assert (config["device"], config["precision"], config["torch"]) == ("cpu", "fp32", torch.__version__)
    assert 1 <= config["best_epoch"] <= config["epochs_run"] == 18
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("small sib200 ell_Grek seed 43: epoch ")]
    assert len(lines) == 18
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines]
    assert losses[-1] < 0.7 * losses[0]
    best = [line for line in lines if line.endswith("(best)")][-1]
    last = next(r for r in reversed(results))
    assert f"epoch {last.config['best_epoch']} of 18" in best
    assert f"dev macro_f1 {100 * last.config['dev_score']:.1f} (best)" in best
    assert "sib200, from eng_Latn\ntarget" in out
    assert "mean, non-Latin script (2)" in out


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_tag_saves_what_it_tested(model, data, tmp_path, capsys, task):
    """The figures are those of the saved model, applied sentence by sentence without our code, by the libraries."""
    output = tmp_path / "results.jsonl"
    more = {"epochs": 12, "learning_rate": 1e-2, "batch_size": 3, "save": tmp_path / "best", "targets": "ell_Grek"}
    assert run("tag", *flags(model, data, output, task, **more)) == 0
    values = {r.metric: r.value for r in read_results(output)}
    saved = tmp_path / "best" / f"{task}_eng_Latn_42"
    transformers = import_transformers()
    network = transformers.AutoModelForTokenClassification.from_pretrained(saved).eval()
    tokenizer = load_tokenizer(saved)
    gold, predicted = [], []
    for sentence in TaggingSet(data, task).split("ell_Grek", "test").sentences:
        ids, first = [0], []
        for word in sentence.words:
            first.append(len(ids))
            ids += tokenizer(word)["input_ids"][1:-1]
        with torch.no_grad():
            best = network(torch.tensor([[*ids, 2, 2]])).logits[0].argmax(-1)
        gold.append(list(sentence.tags))
        predicted.append([network.config.id2label[int(best[i])] for i in first])
    if task == "ner":
        expected = {
            "span_micro_f1": seqeval.metrics.f1_score(gold, predicted),
            "span_macro_f1": seqeval.metrics.f1_score(gold, predicted, average="macro"),
        }
        assert expected["span_micro_f1"] > 0.5
    else:
        flat = [[label for labels in side for label in labels] for side in (gold, predicted)]
        expected = {
            "token_accuracy": sklearn.metrics.accuracy_score(*flat),
            "token_macro_f1": sklearn.metrics.f1_score(*flat, average="macro"),
        }
        assert set(values) == {*expected, "seqeval_f1"}
    assert {metric: values[metric] for metric in expected} == pytest.approx(expected)
    assert {r.n for r in read_results(output)} == {sum(map(len, gold))}
    assert ("dev span_micro_f1" if task == "ner" else "dev seqeval_f1") in capsys.readouterr().out


@pytest.mark.parametrize("raw", [False, True])
def test_results_of_pos_say_whether_words_were_raw(model, tmp_path, raw):
    rows = ["1\tPe\u200cace\t_\tX" + "\t_" * 6, "2\t\u200c\t_\tNOUN" + "\t_" * 6, ""]
    for split in ("train", "dev", "test"):
        write(tmp_path / "eng_Latn" / f"{split}.conllu", rows)
    command = flags(model, tmp_path, tmp_path / "r", "pos", epochs=1)
    assert run("tag", *command, *["--raw-words"] * raw) == 0
    results = read_results(tmp_path / "r")
    assert {(r.n, r.config["raw_words"]) for r in results} == {(2, raw)}


def test_the_same_command_gives_the_same_results(model, data, tmp_path):
    more = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 3, "targets": "ell_Grek"}
    for name, seeds in (("a", "7,8"), ("b", "8")):
        assert run("tag", *flags(model, data, tmp_path / name, "ner", **more | {"seeds": seeds})) == 0
    assert [r for r in read_results(tmp_path / "a") if r.seed == 8] == read_results(tmp_path / "b")


def test_a_cell_that_is_done_is_on_disk_when_the_next_fails(model, data, tmp_path, monkeypatch, capsys):
    measure = cross_lingual.measure

    def fail_on_43(*arguments):
        if arguments[5] == 43:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(cross_lingual, "measure", fail_on_43)
    output = tmp_path / "results.jsonl"
    assert run("classify", *flags(model, data, output, "sib200", epochs=1, seeds="42,43")) == 130
    assert {r.seed for r in read_results(output)} == {42}


def test_the_papers_recipes_are_the_defaults(capsys):
    for task, expected in (
        ("taxi1500", (1e-5, 40, 32, 1, 100)),
        ("sib200", (1e-5, 40, 32, 1, 160)),
        ("ner", (2e-5, 5, 32, 2, 256)),
        ("pos", (2e-5, 10, 32, 2, 256)),
    ):
        recipe = TASKS[task].recipe
        assert (
            recipe.learning_rate,
            recipe.epochs,
            recipe.batch_size,
            recipe.accumulation,
            recipe.max_length,
        ) == expected
        assert (recipe.weight_decay, recipe.adam_eps, recipe.warmup, recipe.patience) == (0.0, 1e-8, 0, None)
        assert (recipe.optim, recipe.precision) == ("adamw_hf", "fp32")
        tagging = {"ner": ("carry", 1000), "pos": ("carry", 500)}
        assert (recipe.leftover, recipe.eval_steps) == tagging.get(task, ("step", None))
    assert run("tag", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "ner 5, pos 10" in text
    assert "ner 1000, pos 500" in text
    assert "(default: adamw_hf)" in text
    assert run("classify", "--help") == 0
    assert "0: after every epoch (default: every epoch)" in " ".join(capsys.readouterr().out.split())
    assert "42,43,44,45,46" in text


def test_every_field_of_a_recipe_is_a_flag_that_reaches_the_results(model, data, tmp_path, capsys):
    given = {"learning_rate": 3e-3, "epochs": 1, "max_length": 40, "batch_size": 8, "accumulation": 2}
    given |= {"weight_decay": 0.1, "adam_eps": 1e-6, "clip_norm": 0.5, "warmup": 2, "patience": 1, "precision": "bf16"}
    given |= {"optim": "adamw_torch", "leftover": "carry", "eval_steps": 2}
    assert set(given) == {field.name for field in dataclasses.fields(Recipe)}
    output = tmp_path / "results.jsonl"
    assert run("classify", *flags(model, data, output, "sib200", targets="ell_Grek", device="cpu", **given)) == 0
    assert "small sib200 eng_Latn seed 42: epoch 1 of 1, update 1, loss " in capsys.readouterr().out
    more = {"clip_norm": 0, "eval_steps": 0, "precision": "auto"}
    assert run("tag", *flags(model, data, output, "ner", targets="ell_Grek", epochs=1, device="cpu", **more)) == 0
    results = read_results(output)
    assert {name: results[0].config[name] for name in given} == given
    assert {name: results[-1].config[name] for name in more} == {
        "clip_norm": None,
        "eval_steps": None,
        "precision": "fp32",
    }


def test_entities_that_english_lacks(model, data, tmp_path, capsys):
    shutil.copytree(data / "ner", tmp_path / "ner")
    write(tmp_path / "ner" / "ell_Grek" / "test.tsv", ["city\tB-LOC", "the\tO", "Peace\tB-DATE", "quiet\tI-DATE"])
    output = tmp_path / "results.jsonl"
    more = {"epochs": 1, "targets": "ell_Grek"}
    assert run("tag", *flags(model, tmp_path, output, "ner", **more)) == 2
    assert "ell_Grek/test.tsv, line 3: 'B-DATE' is not in the training set of eng_Latn" in capsys.readouterr().err
    assert run("tag", *flags(model, tmp_path, output, "ner", unknown_labels="outside", **more)) == 0
    assert "ell_Grek: taken for O, as eng_Latn does not have them: 1 B-DATE, 1 I-DATE" in capsys.readouterr().out
    assert {(r.n, r.config["words_taken_for_outside"]) for r in read_results(output)} == {(4, 2)}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"seeds": "42,x"}, "--seeds 42,x: expected whole numbers"),
        ({"seeds": ""}, "--seeds : expected whole numbers"),
        ({"seeds": "-1"}, "--seeds -1: expected whole numbers"),
        ({"seeds": "4294967296"}, "expected whole numbers from 0 to 2^32 - 1"),
        ({"seeds": "1,01"}, "--seeds 1,01: a seed stands twice"),
        ({"sources": "eng_Latn,en"}, "eng_Latn is named twice"),
        ({"targets": "zho_Hani"}, "has no sib200 test file for zho_Hani"),
        ({"sources": "zho_Hani"}, "has no sib200 train file for zho_Hani"),
        ({"max_length": 600}, "--max-length 600 is more than the 512 tokens that the model takes"),
        ({"precision": "fp16", "device": "cpu"}, "--precision fp16 needs a CUDA device, not cpu"),
        ({"device": "abacus"}, "--device abacus is not available here"),
        ({"learning_rate": "0"}, "0 is not a number above 0"),
        ({"learning_rate": "nan"}, "nan is not a number above 0 and at most 10"),
        ({"weight_decay": "-1"}, "-1 is not a number from 0 to 100"),
        ({"epochs": "1.5"}, "1.5 is not a positive whole number"),
        ({"patience": "0"}, "0 is not a positive whole number"),
        ({"warmup": "x"}, "x is not a whole number of at least 0"),
        ({"data": "nowhere"}, "nowhere is not a directory"),
        ({"task": "ner"}, "invalid choice: 'ner'"),
    ],
)
def test_bad_usage_is_one_sentence_and_writes_nothing(model, data, tmp_path, capsys, more, says):
    output = tmp_path / "results.jsonl"
    arguments = flags(model, data, output, "sib200", **more)
    assert (
        run("classify", *(f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True))) == 2
    )
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in error
    assert not output.exists()


def test_a_model_without_tokenizer_weights_or_a_free_place(model, data, tmp_path, capsys):
    for missing, says in (("sentencepiece.bpe.model", "holds no tokenizer"), ("model.safetensors", "holds no weights")):
        copy = shutil.copytree(model, tmp_path / missing)
        (copy / missing).unlink()
        assert run("classify", *flags(copy, data, tmp_path / "r", "sib200", epochs=1)) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
    parts = (ClassificationSet(data, "sib200"), "eng_Latn", ["ell_Grek"], 42, TASKS["sib200"].recipe)
    with pytest.raises(UserError, match=f"{tmp_path} exists; pass another --save"):
        cross_lingual.measure(model, Model.of(model, str(model), None), *parts, "cpu", tmp_path)


@pytest.mark.parametrize("command", ["classify", "tag"])
def test_a_place_that_is_taken_is_said_before_anything_is_trained(model, data, tmp_path, monkeypatch, capsys, command):
    """Of all sources and seeds, not of the first alone."""
    task = {"classify": "sib200", "tag": "ner"}[command]
    monkeypatch.setattr(cross_lingual, "measure", None)
    directory = data if command == "classify" else data / "ner"
    best = tmp_path / "best"
    (best / f"{task}_ell_Grek_43").mkdir(parents=True)
    arguments = flags(model, directory, tmp_path / "r", task, sources="eng_Latn,ell_Grek", seeds="42,43", save=best)
    assert run(command, *arguments) == 2
    assert f"{task}_ell_Grek_43 exists; pass another --save" in capsys.readouterr().err
    shutil.rmtree(best)
    best.write_text("")
    assert run(command, *arguments) == 2
    assert f"{best} exists and is not a directory; pass another --save" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.fixture(scope="module")
def tagger_parts(model):
    return load_tokenizer(model), import_transformers().AutoConfig.from_pretrained(model)


def split_of(*sentences):
    made = [
        TaggedSentence(tuple(words), tuple("B-X" if i % 2 else "O" for i in range(len(words)))) for words in sentences
    ]
    return Split("eng_Latn", "test", "x", made, {}, b"")


def tagger(parts, max_length):
    return tag.Tagger("ner", ["O", "B-X"], *parts, max_length)


@settings(max_examples=60)
@given(
    texts=st.lists(
        st.lists(
            st.sampled_from(["city", "the", "Peace", "", "\u200b", "Ειρήνη", "平安与宁静", "city" * 20]), min_size=1
        ),
        min_size=1,
        max_size=4,
    ),
    max_length=st.integers(4, 40),
)
def test_long_sentences_are_split_and_every_word_is_scored_once(tagger_parts, texts, max_length):
    head, split = tagger(tagger_parts, max_length), split_of(*texts)
    examples = head.examples(split)
    assert max(len(example.token_ids) for example in examples) <= max_length
    for example in examples:
        assert len(example.token_ids) == len(example.labels)
        assert example.token_ids[0] == 0
        assert example.token_ids[-2:] == [2, 2]
        assert example.labels[0] == example.labels[-2] == example.labels[-1] == IGNORED
    # a model that is always right gives back exactly what the file says, sentence by sentence
    right = [[max(label, 0) for label in example.labels] for example in examples]
    assert head.labels_of(examples, right) == head.gold(split) == [list(s.tags) for s in split.sentences]


def test_a_words_first_piece_is_that_of_running_text(sentences, tmp_path):
    """Of a tokenizer with the spaces in its pieces, as Gemma 2's: a word alone would be the rest of another one."""
    train_tokenizer(sentences, tmp_path)
    tokenizer = import_transformers().AutoTokenizer.from_pretrained(tmp_path)
    words = sentences[0].split()
    (example,) = tagger((tokenizer, modernbert_config(500)), 100).examples(split_of(words))
    assert example.token_ids == tokenizer(" ".join(words))["input_ids"]
    alone = [i for word in words for i in tokenizer(word, add_special_tokens=False)["input_ids"]]
    assert example.token_ids[1:-1] != alone
    firsts = [i for i, label in zip(example.token_ids, example.labels, strict=True) if label != IGNORED]
    assert [token.startswith("▁") for token in tokenizer.convert_ids_to_tokens(firsts)] == [False] + [True] * 6
    (example,) = tagger((tokenizer, modernbert_config(500)), 100).examples(split_of(["city", "", "the"]))
    assert example.token_ids.count(tokenizer.unk_token_id) == 1


def test_words_that_need_no_space_get_none(tagger_parts):
    assert tagger(tagger_parts, 30)._space == ""


def test_what_the_tagger_feeds_the_model(tagger_parts):
    """Each word on its own as the tokenizer has it; nothing and what is longer than the room become <unk>."""
    tokenizer = tagger_parts[0]
    words = ["Peace", "", "city", "city" * 20]
    ids = [tokenizer(word)["input_ids"][1:-1] for word in words]
    assert ids[1] == []
    (example,) = tagger(tagger_parts, 30).examples(split_of(words))
    assert example.token_ids == [0, *ids[0], 3, *ids[2], 3, 2, 2]
    expected = [0, *[IGNORED] * (len(ids[0]) - 1), 1, 0, *[IGNORED] * (len(ids[2]) - 1), 1]
    assert example.labels == [IGNORED, *expected, IGNORED, IGNORED]


def test_a_length_without_room(tagger_parts):
    with pytest.raises(UserError, match="--max-length 3 leaves no room for a word"):
        tagger(tagger_parts, 3).examples(split_of(["city"]))


def test_classes_of_long_texts_are_cut(tagger_parts, sentences):
    from ppa_plugin.evaluation.transfer.labelled_files import Sentence

    head = classify.Classifier("sib200", list(TASKS["sib200"].labels), *tagger_parts, 12)
    split = Split("eng_Latn", "test", "x", [Sentence(text * 5, "travel") for text in sentences], {}, b"")
    examples = head.examples(split)
    assert {len(example.token_ids) for example in examples} == {12}
    assert {(example.token_ids[0], example.token_ids[-1], example.labels) for example in examples} == {(0, 2, 6)}


def test_a_bert_works_too(data, tmp_path):
    transformers = import_transformers()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.values(), "a"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    output = tmp_path / "results.jsonl"
    assert run("tag", *flags(tmp_path / "bert", data, output, "ner", epochs=1, targets="ell_Grek")) == 0
    assert run("classify", *flags(tmp_path / "bert", data, output, "sib200", epochs=1, targets="ell_Grek")) == 0
    assert len([json.loads(line) for line in output.read_text().splitlines()]) == 4
