"""A user's path with a ModernBERT and its own tokenizer: text -> shards -> 4 updates -> Hugging Face -> retrieval."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from ppa_preprocess import cli as preprocess
from running import exit_code
from tiny_families import modernbert_config, random_model, tokens_in, train_tokenizer
from training import load, losses, train

from ppa_plugin.convert import cli as convert
from ppa_plugin.data.vocabulary import TextEncoder, load_dictionary
from ppa_plugin.evaluation import cli as evaluate

WORDS = {
    "ell_Grek": ["πόλη", "θάλασσα", "βουνό", "ποτάμι", "χωριό", "δρόμος", "νησί", "λιμάνι"],
    "heb_Hebr": ["עיר", "ים", "הר", "נהר", "כפר", "רחוב", "אי", "נמל"],
    "eng_Latn": ["city", "sea", "mountain", "river", "village", "street", "island", "harbour"],
}
LANGUAGES = ("ell_Grek", "heb_Hebr")
ARCH = ("--arch", "mmbert_small")
SIZES = (
    *("--encoder-layers", 4, "--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 24),
    *("--encoder-attention-heads", 2),
)


def sentences(lang: str, count: int) -> list[str]:
    words = WORDS[lang]
    return [f"{words[i % 8]} {words[i // 8 % 8]} {words[(i * 5 + 3) % 8]} {i}" for i in range(count)]


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """The corpus, the base model as a directory of Transformers and of fairseq, and the shards."""
    work = tmp_path_factory.mktemp("modernbert")
    (work / "corpus").mkdir()
    for lang in LANGUAGES:
        (work / "corpus" / f"{lang}.txt").write_text("\n".join(sentences(lang, 24)) + "\n", encoding="utf-8")
    (work / "hf").mkdir()
    text = [line for lang in (*LANGUAGES, "eng_Latn") for line in sentences(lang, 64)]
    entries = tokens_in(train_tokenizer(text, work / "hf", 300))
    random_model(modernbert_config(entries)).save_pretrained(work / "hf")
    assert exit_code(convert.main, "to-fairseq", work / "hf", work / "base") == 0
    group = {
        "name": "tiny",
        "seed": 1,
        "shards": 1,
        "valid_size": 4,
        "sampling": {"share": 1.0, "min_lines": 10},
        "languages": {lang: {"uroman": None} for lang in LANGUAGES},
    }
    (work / "group.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    return work


def preprocess_all(work: Path, *flags) -> int:
    where = ("--config", work / "group.yaml", "--input", work / "corpus", "--output", work / "data")
    return exit_code(preprocess.main, "all", *where, "--spm", work / "base" / "tokenizer.json", "--workers", 1, *flags)


@pytest.fixture(scope="module")
def trained(work) -> Path:
    """Four updates with every term, retrieval at the end."""
    assert preprocess_all(work, "--binarizer", "direct") == 0
    retrieval = work / "tatoeba"
    retrieval.mkdir()
    for side, lang in (("eng", "eng_Latn"), ("ell", "ell_Grek")):
        (retrieval / f"tatoeba.ell-eng.{side}").write_text("\n".join(sentences(lang, 12)) + "\n", encoding="utf-8")
    data = work / "data" / "data-bin" / "shard00"
    start = ("--finetune-from-model", work / "base" / "model.pt", "--retrieval-data", retrieval)
    printed = train(data, work / "run", *ARCH, *SIZES, *start, validate=True)
    for term in ("mlm_orig", "mlm_latn", "seq", "tlm", "mfu"):
        assert sorted(losses(printed, term)) == [1, 2, 3, 4], term
    assert "retrieval_top10" in printed
    assert "SEQ pools the output of layer 3 of 4" in printed
    return work / "run" / "checkpoint_last.pt"


def test_rows_are_the_tokenizers_ids_with_its_end(work, trained):
    from fairseq.data import data_utils

    data = work / "data" / "data-bin"
    dictionary, encoder = load_dictionary(data / "dict.txt"), TextEncoder(data / "tokenizer.json")
    assert (dictionary.bos(), dictionary.pad(), dictionary.eos(), dictionary.unk()) == (2, 0, 1, 3)
    for side in ("orig", "latn"):
        prefix = str(data / "shard00" / "ell_Grek" / f"train.orig-latn.{side}")
        rows = data_utils.load_indexed_dataset(prefix, dictionary, dataset_impl="mmap")
        lines = (work / "data" / "pairs" / f"ell_Grek.{side}").read_text(encoding="utf-8").splitlines()
        expected = {(*ids.tolist(), 1) for ids in encoder.encode(lines)}
        assert {tuple(np.asarray(row).tolist()) for row in rows} <= expected
        assert len(rows) == 20


def test_windows_thetas_and_head_follow_the_checkpoint(trained):
    settings = load(trained)["cfg"]["model"]
    names = ("local_attention", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta", "headless")
    assert [settings[name] for name in names] == [8, 3, 160_000.0, 10_000.0, False]


def test_the_trained_model_is_converted_and_measured(work, trained):
    assert exit_code(convert.main, "to-hf", trained, work / "aligned") == 0
    before, after = (json.loads((work / name / "config.json").read_text()) for name in ("hf", "aligned"))
    assert before == after
    arguments = ("--model", work / "aligned", "--data", work / "tatoeba", "--task", "tatoeba", "--sources", "eng_Latn")
    assert exit_code(evaluate.main, "retrieval", *arguments, "--output", work / "results.jsonl") == 0
    rows = [json.loads(line) for line in (work / "results.jsonl").read_text().splitlines()]
    assert {(row["metric"], row["layer"], row["n"]) for row in rows} >= {("top10", 3, 12)}


def test_its_shards_are_planned_for(work, trained, capsys):
    output = ("--output", work / "data")
    assert exit_code(preprocess.main, "verify", *output, "--plan", "--arch", "mmbert_base") == 0
    printed = capsys.readouterr().out
    assert "spell their lines" in printed
    assert "mmbert_base with" in printed


def test_fairseqs_own_binarizer_is_refused(work, capsys):
    assert preprocess_all(work) == 2
    assert "add --binarizer direct" in capsys.readouterr().err


def test_token_blocks_are_refused(work, tmp_path, capsys):
    group = yaml.safe_load((work / "group.yaml").read_text(encoding="utf-8")) | {"alignment": True}
    (tmp_path / "group.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    tokenizer = work / "base" / "tokenizer.json"
    where = ("--config", tmp_path / "group.yaml", "--input", work / "corpus", "--output", tmp_path / "data")
    assert exit_code(preprocess.main, "all", *where, "--spm", tokenizer, "--binarizer", "direct", "--workers", 1) == 2
    assert f"{tokenizer} is a tokenizer.json, and the group says alignment" in capsys.readouterr().err


def test_a_tokenizer_that_has_changed_is_found(work, trained, capsys):
    path = work / "data" / "data-bin" / "tokenizer_config.json"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace('"<mask>"', '"<unk>"'), encoding="utf-8")
    assert exit_code(preprocess.main, "verify", "--output", work / "data") == 2
    assert "tokenizer_config.json" in capsys.readouterr().err
    path.write_text(content, encoding="utf-8")
