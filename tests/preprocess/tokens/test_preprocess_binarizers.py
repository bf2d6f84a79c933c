"""Both binarizers write the same bytes, whatever the text, the dictionary's size or the number of processes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from fairseq.data.indexed_dataset import MMapIndexedDataset
from made_up_text import sentences, tree, write_corpus, write_group
from ppa_preprocess.binarize import binarize_part
from ppa_preprocess.encode import encode_pairs
from ppa_preprocess.group import Group, Language
from ppa_preprocess.tokens import binarizers
from ppa_preprocess.tokens.binarizers import BINARIZERS, Part
from ppa_preprocess.tokens.line_encoder import EncodingSettings
from sentencepiece import sentencepiece_model_pb2

from ppa_plugin.data.vocabulary import write_dictionary
from ppa_plugin.files import sha256

LANGUAGES = ("tur_Latn", "ell_Grek", "zho_Hani")
LAST_PIECE = "龘"


def finished(folder: Path) -> dict[str, bytes]:
    """What a run leaves to its user, but for the name of the binarizer."""
    manifest = json.loads((folder / "data-bin/manifest.json").read_text(encoding="utf-8"))
    del manifest["group"]["binarizer"]
    files = tree(folder / "data-bin") | {"manifest.json": json.dumps(manifest).encode()}
    return files | {"dropped.jsonl": (folder / "dropped.jsonl").read_bytes()}


def test_whole_runs_differ_in_the_name_of_the_binarizer_alone(tmp_path, corpus, spm, ppa, monkeypatch):
    """Cut sides, empty ones, unknown characters, repeated text, a shard without validation; in chunks of 16 pairs."""
    monkeypatch.setattr("ppa_preprocess.encode._CHUNK_PAIRS", 16)
    monkeypatch.setattr(binarizers, "_CHUNK_ROWS", 7)
    group = write_group(tmp_path / "group.yaml", LANGUAGES, max_tokens=12, alignment="true")
    runs = {}
    for name, workers in (("fairseq-preprocess", 1), ("fairseq-preprocess", 3), ("direct", 1), ("direct", 3)):
        output = tmp_path / f"{name}{workers}"
        arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", output]
        assert ppa("all", *arguments, "--binarizer", name, "--workers", workers) == 0
        runs[name, workers] = finished(output)
    first = runs.pop(("fairseq-preprocess", 1))
    assert all(run == first for run in runs.values())
    assert sum(path.endswith(".bin") for path in first) == len(LANGUAGES) * 3 * 3
    for language in json.loads(first["manifest.json"])["languages"].values():
        assert min(language["cut"].values()) > 0
        assert language["cut"]["orig"] < language["kept"]


def test_the_flags_win_over_the_group_file(tmp_path, corpus, spm, ppa):
    group = write_group(tmp_path / "group.yaml", ("tur_Latn",), binarizer="direct")
    arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out"]
    text = tmp_path / "out/encoded/tur_Latn/train.orig"
    assert ppa("all", *arguments) == 0
    assert not text.exists()
    assert ppa("binarize", *arguments, "--binarizer", "fairseq-preprocess") == 2
    assert "for another --binarizer" in ppa.err
    assert ppa("all", *arguments, "--binarizer", "fairseq-preprocess", "--shards", 3, "--valid-size", 5) == 0
    settings = json.loads((tmp_path / "out/data-bin/manifest.json").read_text(encoding="utf-8"))["group"]
    assert (settings["binarizer"], settings["shards"], settings["valid_size"]) == ("fairseq-preprocess", 3, 5)
    assert text.exists()


def model_of_size(spm: Path, folder: Path, entries: int) -> Path:
    """The model `spm` with pieces added until its dictionary has so many entries; the last of them is in the text."""
    model = sentencepiece_model_pb2.ModelProto.FromString(spm.read_bytes())
    pieces = entries - 2  # <pad> and <mask> are no pieces
    for number in range(len(model.pieces), pieces - 1):
        model.pieces.add(piece=f"filler{number}", score=-1000)
    model.pieces.add(piece=LAST_PIECE, score=0)
    path = folder / "large.model"
    path.write_bytes(model.SerializeToString())
    return path


def by_both(model: Path, lines: list[str], folder: Path) -> dict[str, dict[str, bytes]]:
    """What each binarizer writes of training rows 3 to 20 and 5 rows for validation, `lines` being both sides."""
    pair = [write_corpus(folder / side, {"ell_Grek": lines}) / "ell_Grek.txt" for side in ("orig", "latn")]
    written = {}
    for name in BINARIZERS:
        encoded = folder / name
        encoded.mkdir()
        group = Group("g", {"ell_Grek": Language()}, valid_size=5, binarizer=name)
        encode_pairs(EncodingSettings(model, sha256(model), group.max_tokens), pair, encoded, group, "ell_Grek", 1)
        part = Part("ell_Grek", 0, encoded, 3, 20, True, folder / f"{name}.binarized")
        binarize_part(name, folder / "dict.txt", part)
        written[name] = tree(part.target)
    return written


@pytest.mark.parametrize(
    ("entries", "dtype"), [(1000, np.uint16), (65_499, np.uint16), (65_500, np.uint32), (70_000, np.uint32)]
)
def test_every_size_of_dictionary_has_fairseqs_type_of_tokens(tmp_path, spm, entries, dtype):
    model = model_of_size(spm, tmp_path, entries)
    assert write_dictionary(model, tmp_path / "dict.txt") == entries
    written = by_both(model, [f"{line} {LAST_PIECE}" for line in sentences("ell_Grek", 30)], tmp_path)
    assert len(written["direct"]) == 8
    assert written["direct"] == written["fairseq-preprocess"]
    dataset = MMapIndexedDataset(str(tmp_path / "direct.binarized/train.orig-latn.orig"))
    assert (dataset._index.dtype, len(dataset)) == (dtype, 17)
    assert all(int(row.max()) == entries - 2 and row[-1] == 2 for row in (dataset[i] for i in range(17)))


def test_pieces_that_fairseqs_text_cannot_hold_become_the_same_bytes(tmp_path, spm):
    """White space in Python's sense, or the spelling of a special: in each line one of them, between other pieces."""
    model = sentencepiece_model_pb2.ModelProto.FromString(spm.read_bytes())
    model.normalizer_spec.name, model.normalizer_spec.precompiled_charsmap = "identity", b""  # text as it is
    model.DiscardUnknownFields()
    unheld = ["\x85", "\x1c", "\x1d", "\x1e", "\x1f", "\u2028", "\u2029", "\xa0", "\u3000", "<mask>", "<s>", "<pad>"]
    first = len(model.pieces) + 1
    for piece in unheld:
        model.pieces.add(piece=piece, score=-1.0)
    (tmp_path / "spm.model").write_bytes(model.SerializeToString())
    write_dictionary(tmp_path / "spm.model", tmp_path / "dict.txt")
    lines = [f"{line}{piece}{line}" for piece in unheld for line in sentences("ell_Grek", 3)]
    written = by_both(tmp_path / "spm.model", lines, tmp_path)
    assert written["direct"] == written["fairseq-preprocess"]
    found = set()
    for split in ("train", "valid"):
        dataset = MMapIndexedDataset(str(tmp_path / f"direct.binarized/{split}.orig-latn.orig"))
        found |= {int(token) for row in (dataset[i] for i in range(len(dataset))) for token in row if token >= first}
    assert found <= set(range(first, first + len(unheld)))
    assert len(found) > len(unheld) / 2, "22 of 36 lines, drawn at random"


@pytest.mark.parametrize("damage", ["sizes", "tokens"])
def test_direct_does_not_write_rows_that_were_not_encoded(tmp_path, spm, damage):
    group = Group("g", {"ell_Grek": Language()}, valid_size=5, binarizer="direct")
    pair = [write_corpus(tmp_path / side, {"x": sentences("ell_Grek", 30)}) / "x.txt" for side in ("orig", "latn")]
    write_dictionary(spm, tmp_path / "dict.txt")
    (tmp_path / "encoded").mkdir()
    encode_pairs(EncodingSettings(spm, sha256(spm), 512), pair, tmp_path / "encoded", group, "x", 1)
    part = Part("x", 0, tmp_path / "encoded", 0, 20, True, tmp_path / "part")
    binarize_part("direct", tmp_path / "dict.txt", part)
    before = tree(part.target)
    if damage == "tokens":
        path = tmp_path / "encoded/latn.tokens"
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path = tmp_path / "encoded/latn.sizes.npy"
        sizes = np.load(path)
        sizes[4:6] += [1, -1]
        np.save(path, sizes)
    with pytest.raises(RuntimeError, match=r"latn.bin: a row of the encoded tokens does not end where its size says"):
        binarize_part("direct", tmp_path / "dict.txt", dataclasses.replace(part, stop=25))
    assert tree(part.target) == before
