"""`alignment: true`: token blocks beside the sides, which nothing else changes for, and which `verify` checks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
from made_up_text import StubRomanizer, sentences, tree, write_corpus, write_group
from ppa_preprocess.tokens.alignment import check_sums

from ppa_plugin.commandline import UserError
from ppa_plugin.data.blocks import BlockAligner, read_row, whole_blocks
from ppa_plugin.data.vocabulary import load_sentencepiece
from ppa_plugin.files import sha256
from ppa_plugin.romanization import romanizers
from ppa_plugin.romanization.edges import mark, unmark

LANGUAGES = ("tur_Latn", "ell_Grek", "zho_Hani")


@pytest.fixture
def run(tmp_path, corpus, spm, ppa):
    def steps(name: str, text=corpus, languages=LANGUAGES, code=0, step="all", **options) -> Path:
        group = write_group(tmp_path / f"{name}.yaml", languages, **options)
        arguments = ["--config", group, "--output", tmp_path / name, "--workers", 1]
        arguments += ["--input", text] if step == "all" else []
        assert ppa(step, *arguments, "--spm", spm) == code, ppa.err
        return tmp_path / name

    return steps


@pytest.fixture
def aligned(run):
    return run("aligned", alignment="true", max_tokens=12)


def row_of(prefix: Path, row: int) -> np.ndarray:
    return MMapIndexedDataset(str(prefix))[row].numpy()


def test_blocks_stand_beside_what_is_written_without(run, aligned, ppa):
    """Text, tokens and manifest are as without, but for what is said of the blocks."""
    without = run("without", max_tokens=12)
    plain, files = tree(without), tree(aligned)
    more = {path for path in files if ".align." in path or "/align." in path or path.endswith(".edges")}
    assert len(more) == 3 * (3 * 2 + 2 + 1)  # a language's shards, encoded/ and pairs/
    assert files.keys() - more == plain.keys()
    differing = {path for path in plain if plain[path] != files[path]}
    assert differing == {"data-bin/manifest.json", ".ppa-state/state.json"}
    before, after = (json.loads(files_of["data-bin/manifest.json"]) for files_of in (plain, files))
    assert after["group"].pop("alignment") is True
    for lang in LANGUAGES:
        found = after["languages"][lang].pop("blocks")
        assert found["pairs"] == after["languages"][lang]["kept"]
        assert found["blocks"] >= found["pairs"]
        del after["languages"][lang]["pairs_sha256"]["edges"]
    after["files"] = {path: digest for path, digest in after["files"].items() if ".align." not in path}
    assert before == after


def test_blocks_are_those_of_the_lines(aligned, spm):
    """Every row of every shard, one by one, from its line of pairs/; cut sides have those that are whole."""
    aligner = BlockAligner(load_sentencepiece(spm))
    cut = 0
    for lang in LANGUAGES:
        orig, latn, marked = (
            (aligned / f"pairs/{lang}.{end}").read_bytes().decode().split("\n") for end in ("orig", "latn", "edges")
        )
        assert [unmark(line) for line in marked] == latn
        for split, shards in (("train", 2), ("valid", 1)):
            lines = iter(np.load(aligned / f"encoded/{lang}/{split}.lines.npy").tolist())
            for shard in range(shards):
                prefix = aligned / f"data-bin/shard0{shard}/{lang}/{split}.orig-latn"
                sides = [MMapIndexedDataset(f"{prefix}.{side}") for side in ("orig", "latn", "align")]
                assert len(sides[0]) == len(sides[2])
                for row in range(len(sides[0])):
                    line = next(lines)
                    encoded = aligner.encode([orig[line]]), aligner.encode([latn[line]])
                    (expected,) = aligner.blocks(*encoded, [marked[line]]).of_pairs()
                    blocks = read_row(sides[2][row].numpy())
                    assert blocks.tolist() == whole_blocks(expected, 10).tolist()
                    tokens = [len(side[row]) - 1 for side in sides[:2]]
                    assert max(tokens) == 10 or blocks.sum(axis=0).tolist() == tokens
                    cut += len(blocks) < len(expected)
    assert cut > 10


def test_pairs_without_edges_have_no_blocks(tmp_path, run, spm, ppa, monkeypatch):
    """What the normalizer changes, and all of a romanizer without edges, which is said."""
    lines = sentences("ell_Grek", 20)
    text = write_corpus(tmp_path / "in", {"ell_Grek": [f"“{line}”" if i % 2 else line for i, line in enumerate(lines)]})
    options = {"text": text, "languages": ["ell_Grek"], "alignment": "true", "shards": 1, "valid_size": 2}
    half = run("half", romanizer="{name: stub, normalize_punctuation: true}", **options)
    assert json.loads((half / "data-bin/manifest.json").read_bytes())["languages"]["ell_Grek"]["blocks"]["pairs"] == 10
    assert "50.0% of the pairs with token blocks" in ppa.out
    mute = type("Mute", (), {"version": "1", "romanize": StubRomanizer.romanize})
    monkeypatch.setitem(romanizers.ROMANIZERS, "mute", mute)
    none = run("none", romanizer="{name: mute}", **options)
    assert (
        "warning   no pair of ell_Grek has token blocks: its romanizer does not say which characters became" in ppa.out
    )
    assert (none / "data-bin/shard00/ell_Grek/train.orig-latn.align.bin").read_bytes() == b"\0" * 18


def rewrite(aligned: Path, name: str, change, kind=np.uint8) -> None:
    """Write a file of blocks again with other rows, and a manifest to match."""
    prefix = aligned / "data-bin" / name
    rows = [row_of(prefix, row) for row in range(len(MMapIndexedDataset(str(prefix))))]
    manifest = (aligned / "data-bin/manifest.json").read_text(encoding="utf-8")
    paths = [Path(f"{prefix}{ending}") for ending in (".bin", ".idx")]
    before = [sha256(path) for path in paths]
    builder = MMapIndexedDatasetBuilder(str(paths[0]), dtype=kind)
    for row in change(rows):
        builder.add_item(torch.tensor(np.asarray(row)))
    builder.finalize(str(paths[1]))
    for path, digest in zip(paths, before, strict=True):
        manifest = manifest.replace(digest, sha256(path))
    (aligned / "data-bin/manifest.json").write_text(manifest, encoding="utf-8")


def flipped(rows):
    """Two blocks of one pair in the other order: the sums stay."""
    row = next(row for row in rows if len(row) > 4 and tuple(row[:2]) != tuple(row[2:4]))
    row[:4] = [*row[2:4], *row[:2]]
    return rows


def one_token_more(rows):
    rows[5][0] += 1
    return rows


def no_blocks(rows):
    return [*rows[:5], [0], *rows[6:]]


DAMAGE = {
    "flipped": (flipped, "does not have the blocks of line"),
    "a token more": (one_token_more, "row 5 (from 0) has blocks of"),
    "a row moved on": (lambda rows: [*rows[1:], rows[0]], "its sides have"),
    "half a block": (lambda rows: [*rows[:5], rows[5][:-1], *rows[6:]], "row 5 (from 0) has blocks of"),
    "an empty side": (lambda rows: [*rows[:5], [*rows[5], 0, 0], *rows[6:]], "row 5 (from 0) has blocks of"),
    "fewer rows": (lambda rows: rows[1:], "has blocks of 68 pairs, the sides have 69"),
    "none": (no_blocks, "token blocks in"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_finds_wrong_blocks(run, ppa, damage):
    """Though checksums agree. Sides are long enough here that few are cut."""
    aligned = run("aligned", alignment="true", max_tokens=60)
    change, said = DAMAGE[damage]
    rewrite(aligned, "shard00/ell_Grek/train.orig-latn.align", change)
    assert ppa("verify", "--output", aligned, "--sample", 1000) == 2
    assert said in ppa.err
    assert ppa.err.count("\n") == 1


def test_verify_finds_a_flipped_byte_and_other_edges(aligned, ppa):
    path = aligned / "data-bin/shard01/zho_Hani/train.orig-latn.align.bin"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    assert ppa("verify", "--output", aligned) == 2
    assert ppa.err == f"error: {path} is not the file that the manifest lists: its checksum differs\n"
    data[7] ^= 1
    path.write_bytes(data)
    (aligned / "pairs/zho_Hani.edges").write_text("x\n")
    assert ppa("verify", "--output", aligned) == 2
    assert "zho_Hani.edges is missing or not what the blocks were made from" in ppa.err


def test_what_is_missing_or_does_not_fit_is_said(run, aligned, ppa):
    edges = aligned / "pairs/ell_Grek.edges"
    kept = edges.read_bytes()
    edges.write_bytes(kept[:-1] + b"\nmore\n")
    run("aligned", alignment="true", max_tokens=12, step="encode", code=2)
    assert "ell_Grek.orig has 149 lines and" in ppa.err
    assert "ell_Grek.edges has 150" in ppa.err
    edges.unlink()
    run("aligned", alignment="true", max_tokens=12, step="encode", code=2)
    assert f"{edges} is missing, and the group says alignment: run `ppa-preprocess romanize` first" in ppa.err
    run("wrong", alignment="1", code=2)
    assert "alignment is 1, expected true or false" in ppa.err


def test_sums_of_cut_sides(tmp_path):
    """Blocks of a cut pair may add up to less, never to more."""
    builder = MMapIndexedDatasetBuilder(str(tmp_path / "x.bin"), dtype=np.uint8)
    builder.add_item(torch.tensor([3, 2, 4, 2]))
    builder.finalize(str(tmp_path / "x.idx"))
    for orig, latn, most, right in ((7, 4, 99, True), (8, 4, 99, False), (9, 6, 11, True), (6, 6, 8, False)):
        sizes = np.array([orig + 1]), np.array([latn + 1])
        if right:
            assert check_sums(tmp_path / "x", sizes, most) == (1, 2)
        else:
            with pytest.raises(UserError, match=f"blocks of 7 and 4 tokens, its sides have {orig} and {latn}"):
                check_sums(tmp_path / "x", sizes, most)


def test_what_was_edited_has_no_blocks(aligned, run):
    """A romanization that a user changed is not the one that the edges spell."""
    latn = aligned / "pairs/ell_Grek.latn"
    lines = latn.read_text().split("\n")
    lines[20] = "xyz"
    latn.write_text("\n".join(lines))
    run("aligned", alignment="true", max_tokens=12, step="encode")
    sizes = np.load(aligned / "encoded/ell_Grek/align.sizes.npy")
    assert sizes[20] == 1
    assert sizes[19] > 1


def test_edges_of_a_line_are_those_of_its_romanizer(aligned):
    lines = (aligned / "pairs/ell_Grek.orig").read_text(encoding="utf-8").split("\n")
    marked = (aligned / "pairs/ell_Grek.edges").read_text(encoding="utf-8").split("\n")
    assert [mark(StubRomanizer().edges(line, None)) for line in lines] == marked
