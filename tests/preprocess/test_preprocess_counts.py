"""Nothing is lost without a word: samples, splits, shards, the manifest's sums, and `verify`."""

import itertools
import json
from collections import Counter

import pytest
from made_up_text import StubRomanizer, sentences, tree, write_corpus, write_group
from ppa_preprocess import cli
from ppa_preprocess.group import Sampling, load_group
from ppa_preprocess.sample import sample_size
from ppa_preprocess.tokens.split import valid_size
from running import exit_code

from ppa_plugin.data.sampling import random_order
from ppa_plugin.data.shards import index_sizes
from ppa_plugin.files import sha256
from ppa_plugin.romanization import romanizers

LANGUAGES = ("tur_Latn", "ell_Grek", "zho_Hani")


@pytest.fixture(scope="module")
def made(tmp_path_factory, corpus, spm):
    """An output directory, made once; tests that damage it work on a copy."""
    folder = tmp_path_factory.mktemp("made")
    group = write_group(folder / "group.yaml", LANGUAGES, sampling="{share: 0.5, min_lines: 160}")
    romanizers.ROMANIZERS["stub"] = StubRomanizer
    arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", folder / "out"]
    assert exit_code(cli.main, "all", *arguments) == 0
    return folder / "out"


@pytest.fixture
def copy(made, tmp_path):
    for name, content in tree(made).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_manifest_accounts_for_every_line(made):
    manifest = json.loads((made / "data-bin/manifest.json").read_text(encoding="utf-8"))
    dropped = [json.loads(line) for line in (made / "dropped.jsonl").read_bytes().splitlines()]
    assert {lang: entry["read"] for lang, entry in manifest["languages"].items()} == {
        "tur_Latn": 190,
        "ell_Grek": 150,
        "zho_Hani": 150,
    }
    for lang, entry in manifest["languages"].items():
        left_out = entry["not_sampled"] + sum(entry["filtered"].values()) + sum(entry["dropped"].values())
        assert entry["read"] == entry["kept"] + left_out
        assert Counter(record["reason"] for record in dropped if record["lang"] == lang) == entry["dropped"]
        assert entry["valid"] == 10
        made_with = {"name": "stub", "version": "1", "code": None, "punctuation": None}
        assert entry["romanizer"] == made_with | {"rescued": 0, "lossy": 0}
    assert manifest["languages"]["tur_Latn"]["not_sampled"] == 30
    assert manifest["languages"]["tur_Latn"]["dropped"]["text is in valid"] > 0
    assert manifest["languages"]["ell_Grek"]["filtered"] == {"blank": 1}
    assert manifest["languages"]["zho_Hani"]["dropped"] == {"romanizer raised AttributeError": 1}


def test_a_part_holds_what_fairseq_train_reads_and_no_more(made):
    parts = itertools.product(("train", "valid"), ("orig", "latn"), ("bin", "idx"))
    names = {f"{split}.orig-latn.{side}.{kind}" for split, side, kind in parts}
    for lang in LANGUAGES:
        assert {path.name for path in (made / "data-bin/shard00" / lang).iterdir()} == names
        train = {name for name in names if name.startswith("train")}
        assert {path.name for path in (made / "data-bin/shard01" / lang).iterdir()} == train


def test_samples_and_orders_depend_on_the_seed_alone():
    assert (random_order(1000, 1, "sample", "tur_Latn") == random_order(1000, 1, "sample", "tur_Latn")).all()
    for other in ((2, "sample", "tur_Latn"), (1, "shuffle", "tur_Latn"), (1, "sample", "ell_Grek")):
        assert (random_order(1000, 1, "sample", "tur_Latn") != random_order(1000, *other)).any()
    assert [sample_size(count, Sampling()) for count in (9, 10_000, 15_000, 348_000)] == [9, 10_000, 10_000, 34_800]


def test_small_languages_keep_training_pairs():
    assert [valid_size(pairs, 500) for pairs in (1, 2, 15, 999, 1000, 40_000)] == [0, 1, 1, 99, 500, 500]
    assert valid_size(7, 0) == 0


def test_defaults_of_the_group(tmp_path):
    (tmp_path / "g.yaml").write_text("name: g\nlanguages: {tur_Latn: {uroman: tur}, ell_Grek: }\n")
    assert load_group(tmp_path / "g.yaml").as_dict() == {
        "name": "g",
        "seed": 1,
        "shards": 8,
        "valid_size": 500,
        "sampling": {"share": 0.10, "min_lines": 10_000},
        "filters": {"deduplicate": False, "min_chars": 0, "max_chars": None, "script_share": 0.0, "exclude": []},
        "max_tokens": 512,
        "languages": {
            "tur_Latn": {"uroman": "tur", "sources": None},
            "ell_Grek": {"uroman": None, "sources": None},
        },
        "binarizer": "fairseq-preprocess",
        "romanizer": {"name": "uroman", "normalize_punctuation": False, "rescue": True},
    }


def flip_last_byte(path):
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def exchange_entries(data_bin):
    """Two entries in each other's place, and a manifest that says so: only the SentencePiece model can tell."""
    entries = (data_bin / "dict.txt").read_bytes().split(b"\n")
    entries[40], entries[41] = entries[41], entries[40]
    before = sha256(data_bin / "dict.txt")
    (data_bin / "dict.txt").write_bytes(b"\n".join(entries))
    edit(data_bin / "manifest.json", before, sha256(data_bin / "dict.txt"))


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


SHARDS, MANIFEST = "data-bin/shard0", "data-bin/manifest.json"
TOKENS = '"train": {\n     "orig": '
DAMAGE = {
    "a changed shard": (lambda out: flip_last_byte(out / f"{SHARDS}1/tur_Latn/train.orig-latn.latn.bin"), "checksum"),
    "a lost file": (lambda out: (out / f"{SHARDS}0/ell_Grek/valid.orig-latn.orig.idx").unlink(), "is missing"),
    "a stray file": (lambda out: (out / f"{SHARDS}1/ell_Grek/notes").touch(), "is not in the manifest"),
    "another dictionary": (lambda out: exchange_entries(out / "data-bin"), "not of the same model"),
    "a lost record": (lambda out: (out / "dropped.jsonl").write_bytes(b""), "has 0 pairs of"),
    "no records": (lambda out: (out / "dropped.jsonl").unlink(), "cannot read"),
    "a wrong sum": (lambda out: edit(out / MANIFEST, '"read": 190', '"read": 191'), "191 lines read"),
    "wrong tokens": (lambda out: edit(out / MANIFEST, TOKENS, TOKENS + "1"), "tokens in its .idx files"),
    "no manifest": (lambda out: (out / MANIFEST).unlink(), "manifest.json is missing"),
    "a broken manifest": (lambda out: (out / MANIFEST).write_text("{"), "not a readable manifest"),
    "an empty manifest": (lambda out: (out / MANIFEST).write_text("{}"), "not a manifest of this version"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_says_what_does_not_agree(copy, ppa, damage):
    assert ppa("verify", "--output", copy) == 0
    act, said = DAMAGE[damage]
    act(copy)
    assert ppa("verify", "--output", copy) == 2
    assert said in ppa.err
    assert ppa.err.count("\n") == 1


def test_languages_are_spread_evenly_over_the_shards(tmp_path, spm, ppa):
    lines = {"kor_Hang": sentences("kor_Hang", 47), "amh_Ethi": sentences("amh_Ethi", 12)}
    corpus = write_corpus(tmp_path / "in", lines)
    group = write_group(tmp_path / "g.yaml", lines, shards=4)
    assert ppa("all", "--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out") == 0
    parts = sorted((tmp_path / "out/data-bin").glob("shard*/*"))
    lines = {f"{part.parent.name}/{part.name}": len(index_sizes(part / "train.orig-latn.orig")) for part in parts}
    assert [lines[f"shard{n:02d}/kor_Hang"] for n in range(4)] == [9, 9, 9, 10]
    assert [lines[f"shard{n:02d}/amh_Ethi"] for n in range(4)] == [2, 3, 3, 3]
