"""Corpora and pairs that begin with a byte-order mark become the shards that they become without one."""

import codecs

import pytest
import sentencepiece
from made_up_text import sentences, tree, write_corpus, write_group
from source_files import COMPRESS, as_json_lines, as_text

LANG = "ell_Grek"
LINES = sentences(LANG, 60)
OTHER_MARKS = {"UTF-16": "utf-16", "UTF-32": "utf-32"}


@pytest.fixture
def identity(tmp_path):
    """A SentencePiece model that leaves U+FEFF in the text, as XLM-R's does not."""
    (tmp_path / "text").write_text("\n".join([*LINES, *(f"\ufeff{line}" for line in LINES)]), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "identity"),
        vocab_size=200,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return tmp_path / "identity.model"


def run(ppa, folder, spm, step="all", **given):
    group = write_group(folder / "group.yaml", [LANG])
    arguments = ["--config", group, "--output", folder / "out"]
    arguments += ["--spm", spm] if step != "romanize" else []
    arguments += [part for name, value in given.items() for part in (f"--{name}", value)]
    assert ppa(step, *arguments) == 0, ppa.err
    return folder / "out"


@pytest.mark.parametrize("name", [f"{kind}{how}" for kind in (".txt", ".jsonl") for how in COMPRESS])
def test_corpora(tmp_path, ppa, spm, name):
    compress = COMPRESS[f".{name.split('.')[2]}" if name.count(".") > 1 else ""]
    content = as_json_lines(LINES) if "jsonl" in name else as_text(LINES)
    outputs = {}
    for mark in (b"", codecs.BOM_UTF8):
        corpus = tmp_path / f"in{len(mark)}"
        (corpus / LANG).mkdir(parents=True)
        # each of a language's files may have one
        for number in range(2):
            (corpus / LANG / f"{number}{name}").write_bytes(compress(mark + content))
        (tmp_path / f"{len(mark)}").mkdir()
        output = run(ppa, tmp_path / f"{len(mark)}", spm, input=corpus)
        outputs[mark] = tree(output / "text") | tree(output / "pairs") | tree(output / "encoded")
    assert outputs[b""] == outputs[codecs.BOM_UTF8]


@pytest.mark.parametrize("encoding", OTHER_MARKS)
@pytest.mark.parametrize("name", [".txt", ".jsonl", ".txt.gz"])
def test_corpora_of_another_encoding(tmp_path, ppa, spm, name, encoding):
    path = write_corpus(tmp_path / "in", {}) / f"{LANG}{name}"
    text = (as_json_lines(LINES) if "jsonl" in name else as_text(LINES)).decode()
    path.write_bytes(COMPRESS[".gz" if name.endswith(".gz") else ""](text.encode(OTHER_MARKS[encoding])))
    arguments = ["--config", write_group(tmp_path / "g.yaml", [LANG]), "--input", path.parent]
    assert ppa("all", *arguments, "--spm", spm, "--output", tmp_path / "out") == 2
    assert ppa.err == f"error: {path} is {encoding}; convert the file to UTF-8\n"
    assert not list((tmp_path / "out").glob("text/*"))


@pytest.mark.parametrize("binarizer", ["fairseq-preprocess", "direct"])
def test_pairs_and_text_that_were_brought_along(tmp_path, ppa, identity, binarizer):
    """Encoding, the split, `dropped.jsonl` and `verify` take the same text for the first line."""
    lines = [*LINES, *LINES[:40], ""]
    outputs = {}
    for mark in (b"", codecs.BOM_UTF8):
        folder = tmp_path / f"{len(mark)}"
        for side in ("orig", "latn"):
            path = folder / f"out/pairs/{LANG}.{side}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mark + as_text([line.replace(" ", "  ") for line in lines]))
        for step in ("encode", "binarize", "verify"):
            output = run(ppa, folder, identity, step, binarizer=binarizer)
        outputs[mark] = tree(output / "encoded") | {"dropped": (output / "dropped.jsonl").read_bytes()}
    assert outputs[b""] == outputs[codecs.BOM_UTF8]
    assert outputs[b""]["dropped"].count(b"text is in valid") > 0


def test_text_that_begins_with_the_marks_character(tmp_path, ppa, identity):
    """From the middle of a corpus to the start of a sample: whoever reads it takes it for a mark, `verify` too."""
    corpus = write_corpus(tmp_path / "in", {LANG: [f"\ufeff\ufeff{line}" for line in LINES]})
    output = run(ppa, tmp_path, identity, input=corpus)
    assert (output / f"text/{LANG}.txt").read_bytes() == (corpus / f"{LANG}.txt").read_bytes()[len(codecs.BOM_UTF8) :]


def test_nothing_but_a_mark_is_an_empty_file(tmp_path, ppa, spm):
    corpus = write_corpus(tmp_path / "in", {})
    (corpus / f"{LANG}.txt").write_bytes(codecs.BOM_UTF8)
    arguments = ["--config", write_group(tmp_path / "g.yaml", [LANG]), "--input", corpus]
    assert ppa("all", *arguments, "--spm", spm, "--output", tmp_path / "out") == 2
    assert ppa.err == f"error: {LANG}.txt is empty: there is no line of {LANG} in it\n"
