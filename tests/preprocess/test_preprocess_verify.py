"""`verify` reads pairs back: each spells its own line, in its place, and what does not is named."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
from hypothesis import example, given
from hypothesis import strategies as st
from made_up_text import ALPHABETS, write_group
from ppa_preprocess.round_trip import Speller, _matches
from ppa_preprocess.tokens.line_encoder import LineEncoder

from ppa_plugin.data.vocabulary import load_dictionary
from ppa_plugin.files import sha256

LANGUAGES = ("tur_Latn", "ell_Grek", "zho_Hani")
known_text = st.text("".join(ALPHABETS.values()) + "  0123456789", max_size=40)
any_text = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)


@pytest.fixture(params=["fairseq-preprocess", "direct"])
def made(request, tmp_path, corpus, spm, ppa) -> Path:
    group = write_group(tmp_path / "group.yaml", LANGUAGES, max_tokens=12, binarizer=request.param)
    arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out"]
    assert ppa("all", *arguments) == 0
    return tmp_path / "out"


def test_every_pair_spells_its_own_line(made, spm):
    """The dictionary's symbols, joined, are what SentencePiece makes of the line before it cuts it into pieces."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    symbols = load_dictionary(made / "data-bin/dict.txt").symbols
    dropped = [json.loads(line) for line in (made / "dropped.jsonl").read_bytes().splitlines()]
    for lang in LANGUAGES:
        gone = {record["line"] - 1 for record in dropped if record["lang"] == lang}
        seen = []
        for split, shards in (("train", 2), ("valid", 1)):
            lines = np.load(made / f"encoded/{lang}/{split}.lines.npy").tolist()
            seen += lines
            for side in ("orig", "latn"):
                texts = (made / f"pairs/{lang}.{side}").read_text(encoding="utf-8").split("\n")
                prefixes = [made / f"data-bin/shard0{n}/{lang}/{split}.orig-latn.{side}" for n in range(shards)]
                datasets = [MMapIndexedDataset(str(prefix)) for prefix in prefixes]
                rows = [dataset[i].tolist() for dataset in datasets for i in range(len(dataset))]
                for row, line in zip(rows, lines, strict=True):
                    spelled = "".join(symbols[token] for token in row[:-1])
                    normalized = processor.normalize(texts[line])
                    assert 3 not in row  # <unk> spells nothing
                    assert spelled == normalized if len(row) < 11 else normalized.startswith(spelled)
        assert sorted([*seen, *gone]) == list(range(len(texts) - 1))


def test_verify_compares_as_many_as_there_are(made, ppa):
    kept = json.loads((made / "data-bin/manifest.json").read_text(encoding="utf-8"))["total"]["kept"]
    for sample, compared in ((0, 0), (7, 21), (10**9, kept)):
        assert ppa("verify", "--output", made, "--sample", sample) == 0
        assert f"{compared:,} pairs drawn from them spell their lines" in ppa.out


def rewrite(made: Path, name: str, change) -> None:
    """Write a binarized file again with other rows, with an index and a manifest to match."""
    prefix = made / "data-bin" / name
    dataset = MMapIndexedDataset(str(prefix))
    rows = change([dataset[i] for i in range(len(dataset))])
    manifest = (made / "data-bin/manifest.json").read_text(encoding="utf-8")
    paths = [Path(f"{prefix}{ending}") for ending in (".bin", ".idx")]
    before = [sha256(path) for path in paths]
    builder = MMapIndexedDatasetBuilder(str(paths[0]), dtype=dataset._index.dtype)
    for row in rows:
        builder.add_item(row)
    builder.finalize(str(paths[1]))
    for path, digest in zip(paths, before, strict=True):
        manifest = manifest.replace(digest, sha256(path))
    (made / "data-bin/manifest.json").write_text(manifest, encoding="utf-8")


def exchange_lines(made: Path) -> None:
    path = made / "encoded/ell_Grek/train.lines.npy"
    lines = np.load(path)
    lines[[30, 60]] = lines[[60, 30]]
    np.save(path, lines)


def repeat_a_line(made: Path) -> None:
    path = made / "encoded/ell_Grek/train.lines.npy"
    lines = np.load(path)
    lines[30] = lines[60]
    np.save(path, lines)


DAMAGE = {
    "a side moved on by a row": (
        lambda made: rewrite(made, "shard01/ell_Grek/train.orig-latn.latn", lambda rows: [*rows[1:], rows[0]]),
        r"shard01/ell_Grek/train.orig-latn.latn.bin: row \d+ \(from 0\) does not spell line \d+ of \S+ell_Grek.latn",
    ),
    "one token of one row": (
        lambda made: rewrite(made, "shard00/tur_Latn/valid.orig-latn.orig", lambda rows: [r + (r > 9) for r in rows]),
        r"tur_Latn/valid.orig-latn.orig.bin: row 0 \(from 0\) does not spell",
    ),
    "rows of other lines": (exchange_lines, r"shard00/ell_Grek/train.orig-latn.orig.bin: row 30 \(from 0\)"),
    "a line twice": (repeat_a_line, "encoded/ell_Grek: two rows are of one line"),
    "no lines": (lambda made: shutil.rmtree(made / "encoded"), r"cannot read \S+train.lines.npy .* --sample 0"),
    "lines of something else": (
        lambda made: np.save(made / "encoded/ell_Grek/train.lines.npy", np.arange(3)),
        "train.lines.npy does not hold the 139 rows",
    ),
    "a pickle": (
        lambda made: np.save(made / "encoded/ell_Grek/train.lines.npy", np.array([{}]), allow_pickle=True),
        r"cannot read \S+train.lines.npy \(Object arrays cannot be loaded",
    ),
    "no pairs": (lambda made: (made / "pairs/tur_Latn.latn").unlink(), r"tur_Latn.latn is missing or not what .*"),
    "other pairs": (lambda made: (made / "pairs/tur_Latn.orig").write_text("x\n"), "tur_Latn.orig is missing or not"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_names_what_does_not_agree(made, ppa, damage):
    act, said = DAMAGE[damage]
    act(made)
    assert ppa("verify", "--output", made, "--sample", 1000) == 2
    assert re.search(said, ppa.err)
    assert ppa.err.count("\n") == 1
    assert ppa("verify", "--output", made, "--sample", 0) == 0


@given(st.text("ab", max_size=8), st.lists(st.text("ab", max_size=2), min_size=1, max_size=4), st.booleans())
@example("ab", ["a", ""], True)
@example("a", ["a", ""], False)
def test_unknown_pieces_stand_for_something(text, known, whole):
    match = (re.fullmatch if whole else re.match)(".+".join(known), text)
    assert _matches(text.encode(), [part.encode() for part in known], whole) == bool(match)


@pytest.fixture(scope="module")
def speller(spm):
    """(encoder, speller, processor) of one model."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    return LineEncoder(processor), Speller(processor, 512), processor


@given(text=any_text | known_text, other=known_text)
@example(text="<unk> <s> </s> <mask> <0x41> ▁", other="")
@example(text="a天b", other="a")
def test_a_row_spells_its_text_and_no_other(speller, text, other):
    encoder, speller, processor = speller
    indices, _ = encoder.indices([text])
    if not len(indices):
        return
    row = np.append(indices, 2).astype(encoder.dtype).tobytes()
    assert speller.agrees(row, text)
    if 3 not in indices:
        assert speller.agrees(row, other) == (processor.normalize(text) == processor.normalize(other))
