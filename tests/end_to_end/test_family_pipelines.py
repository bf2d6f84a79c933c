"""A user's path with each family and its tokenizer: text -> shards -> 4 updates -> Hugging Face -> retrieval."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from ppa_preprocess import cli as preprocess
from running import exit_code
from small_corpus import LANGUAGES, sentences, write_corpus
from tiny_families import ALL, GTE, MODERNBERT, Tiny, save
from training import BIN, ROOT, load, losses, train

from ppa_plugin.convert import cli as convert
from ppa_plugin.data.vocabulary import TextEncoder, find_tokenizer, load_dictionary
from ppa_plugin.evaluation import cli as evaluate

SIZES = (
    *("--encoder-layers", 4, "--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 24),
    *("--encoder-attention-heads", 2),
)
ENTRIES = {MODERNBERT: 300, GTE: 76}
# before a text, padding, after it, unknown
SPECIALS = {MODERNBERT: (2, 0, 1, 3), GTE: (0, 1, 2, 3)}


def made_work(tiny: Tiny, work: Path) -> Path:
    """The corpus, retrieval data, and the base model as a directory of Transformers and of fairseq."""
    write_corpus(work)
    (work / "tatoeba").mkdir()
    for side, lang in (("eng", "eng_Latn"), ("ell", "ell_Grek")):
        lines = "\n".join(sentences(lang, 12)) + "\n"
        (work / "tatoeba" / f"tatoeba.ell-eng.{side}").write_text(lines, encoding="utf-8")
    text = [line for lang in (*LANGUAGES, "eng_Latn") for line in sentences(lang, 64)]
    save(tiny, text, work / "hf", ENTRIES[tiny], padding=8)
    assert exit_code(convert.main, "to-fairseq", work / "hf", work / "base") == 0
    return work


def preprocess_all(work: Path, *flags) -> int:
    where = ("--config", work / "group.yaml", "--input", work / "corpus", "--output", work / "data")
    return exit_code(preprocess.main, "all", *where, "--spm", find_tokenizer(work / "base"), "--workers", 1, *flags)


@pytest.fixture(scope="module", params=ALL)
def tiny(request):
    return request.param


@pytest.fixture(scope="module")
def work(tiny, tmp_path_factory) -> Path:
    return made_work(tiny, tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module")
def trained(tiny, work) -> Path:
    """Four updates with every term, retrieval at the end."""
    assert preprocess_all(work, "--binarizer", "direct") == 0
    data = work / "data" / "data-bin" / "shard00"
    start = ("--finetune-from-model", work / "base" / "model.pt", "--retrieval-data", work / "tatoeba")
    printed = train(data, work / "run", "--arch", tiny.architectures[-1], *SIZES, *start, validate=True)
    for term in ("mlm_orig", "mlm_latn", "seq", "tlm", "mfu"):
        assert sorted(losses(printed, term)) == [1, 2, 3, 4], term
    assert "retrieval_top10" in printed
    assert "SEQ pools the output of layer 3 of 4" in printed
    return work / "run" / "checkpoint_last.pt"


def test_rows_are_the_tokenizers_ids_with_its_end(tiny, work, trained):
    from fairseq.data import data_utils

    data = work / "data" / "data-bin"
    dictionary, encoder = load_dictionary(data / "dict.txt"), TextEncoder(find_tokenizer(data))
    assert (dictionary.bos(), dictionary.pad(), dictionary.eos(), dictionary.unk()) == SPECIALS[tiny]
    for side in ("orig", "latn"):
        prefix = str(data / "shard00" / "ell_Grek" / f"train.orig-latn.{side}")
        rows = data_utils.load_indexed_dataset(prefix, dictionary, dataset_impl="mmap")
        lines = (work / "data" / "pairs" / f"ell_Grek.{side}").read_text(encoding="utf-8").splitlines()
        expected = {(*ids.tolist(), dictionary.eos()) for ids in encoder.encode(lines)}
        assert {tuple(np.asarray(row).tolist()) for row in rows} <= expected
        assert len(rows) == 20


def test_what_the_weights_do_not_show_follows_the_checkpoint(tiny, work, trained):
    settings = load(trained)["cfg"]["model"]
    expected = tiny.family.settings(json.loads((work / "hf" / "config.json").read_text()))
    own = tiny.family.own_flags
    assert {name: settings[name] for name in own} == {name: expected[name] for name in own}
    assert settings["headless"] is False
    assert settings["padding_rows"] > 0


def test_the_trained_model_is_converted_and_measured(work, trained):
    assert exit_code(convert.main, "to-hf", trained, work / "aligned") == 0
    before, after = (json.loads((work / name / "config.json").read_text()) for name in ("hf", "aligned"))
    assert before == after
    arguments = ("--model", work / "aligned", "--data", work / "tatoeba", "--task", "tatoeba", "--sources", "eng_Latn")
    assert exit_code(evaluate.main, "retrieval", *arguments, "--output", work / "results.jsonl") == 0
    rows = [json.loads(line) for line in (work / "results.jsonl").read_text().splitlines()]
    assert {(row["metric"], row["layer"], row["n"]) for row in rows} >= {("top10", 3, 12)}


def test_the_base_is_measured_at_every_layer(work):
    arguments = ("--model", work / "hf", "--data", work / "tatoeba", "--task", "tatoeba", "--sources", "eng_Latn")
    output = ("--layer", "all", "--output", work / "layers.jsonl")
    assert exit_code(evaluate.main, "retrieval", *arguments, *output) == 0
    rows = [json.loads(line) for line in (work / "layers.jsonl").read_text().splitlines()]
    assert [row["layer"] for row in rows if row["metric"] == "top10"] == [0, 1, 2, 3, 4]


def test_its_tokens_are_measured_where_it_has_sentencepiece(tiny, work, capsys):
    arguments = ("--model", work / "hf", "--data", work / "tatoeba", "--task", "tatoeba")
    code = exit_code(evaluate.main, "tokens", *arguments, "--output", work / "analysis.jsonl")
    if tiny is MODERNBERT:
        assert code == 2
        assert "tokens are measured with the sentencepiece.bpe.model" in capsys.readouterr().err
        return
    assert code == 0
    records = [json.loads(line) for line in (work / "analysis.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = [*(("tokens", layer) for layer in range(5)), ("token_map", 3)]
    assert [(record["kind"], record["layer"]) for record in records] == expected
    assert records[0]["blocks"] > records[0]["pairs"] > 0


def test_its_checkpoints_are_ranked(work, trained, capsys):
    arguments = ("--checkpoints", work / "run", "--data", work / "tatoeba", "--output", work / "ranked.jsonl")
    assert exit_code(evaluate.main, "select", *arguments, "--best-to", work / "best") == 0
    assert "best: " in capsys.readouterr().out
    measured = [json.loads(line) for line in (work / "ranked.jsonl").read_text().splitlines()]
    assert {(row["metric"], row["layer"], row["config"]["step"]) for row in measured} >= {("top10", 3, 4)}
    assert json.loads((work / "best" / "config.json").read_text()) == json.loads((work / "hf/config.json").read_text())


def test_its_checkpoint_is_validated(work, trained):
    plugin = ("--user-dir", ROOT / "ppa_plugin", "--task", "translit_alignment", "--criterion", "translit_alignment")
    flags = (*plugin, "--path", trained, "--batch-size", 4, "--cpu", "--num-workers", 0)
    done = subprocess.run(
        [BIN / "fairseq-validate", work / "data" / "data-bin" / "shard00", *map(str, flags)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "seq_acc" in done.stdout + done.stderr


def test_its_shards_are_planned_for(tiny, work, trained, capsys):
    output, arch = ("--output", work / "data"), tiny.architectures[0]
    assert exit_code(preprocess.main, "verify", *output, "--plan", "--arch", arch) == 0
    printed = capsys.readouterr().out
    assert "spell their lines" in printed
    assert f"{arch} with" in printed


@pytest.fixture(scope="module")
def modernbert(tmp_path_factory) -> Path:
    """What the tests of a `tokenizer.json` alone need, with shards."""
    work = made_work(MODERNBERT, tmp_path_factory.mktemp("modernbert"))
    assert preprocess_all(work, "--binarizer", "direct") == 0
    return work


def test_fairseqs_own_binarizer_is_refused(modernbert, capsys):
    assert preprocess_all(modernbert) == 2
    assert "add --binarizer direct" in capsys.readouterr().err


def test_token_blocks_are_refused(modernbert, tmp_path, capsys):
    group = yaml.safe_load((modernbert / "group.yaml").read_text(encoding="utf-8")) | {"alignment": True}
    (tmp_path / "group.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    tokenizer = modernbert / "base" / "tokenizer.json"
    where = ("--config", tmp_path / "group.yaml", "--input", modernbert / "corpus", "--output", tmp_path / "data")
    assert exit_code(preprocess.main, "all", *where, "--spm", tokenizer, "--binarizer", "direct", "--workers", 1) == 2
    assert f"{tokenizer} is a tokenizer.json, and the group says alignment" in capsys.readouterr().err


def test_a_tokenizer_that_has_changed_is_found(modernbert, capsys):
    path = modernbert / "data" / "data-bin" / "tokenizer_config.json"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace('"<mask>"', '"<unk>"'), encoding="utf-8")
    assert exit_code(preprocess.main, "verify", "--output", modernbert / "data") == 2
    assert "tokenizer_config.json" in capsys.readouterr().err
    path.write_text(content, encoding="utf-8")
