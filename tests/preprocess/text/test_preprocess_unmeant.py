"""Corpora as people bring them: blank lines, other line ends, splits, tables, wrong encodings, what is no file."""

import itertools
import json
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from made_up_text import sentences, write_corpus, write_group
from ppa_preprocess.text import source_formats
from source_files import COMPRESS, as_json_lines, as_text, write, write_arrow, write_parquet

LANG = "ell_Grek"
LINES = sentences(LANG, 60)


# --- blank lines, line ends


@pytest.mark.parametrize("blank", ["", " ", "\t", "\r", "\u3000", "\u200b", "\ufeff", "\u00ad\u2060 ", "\u3164", "\0"])
@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".parquet", ".txt.gz"])
def test_blank_lines_between_texts_take_no_place_in_a_sample(tmp_path, sample, kind, blank):
    lines = sentences(LANG, 400)
    write(tmp_path / f"in/{LANG}{kind}", [line for text in lines for line in (text, blank)])
    taken = sample(sampling="{share: 0.1, min_lines: 200}")
    assert len(taken) == 200
    assert set(taken) <= set(lines)
    assert "800 lines read from" in sample.out
    assert "400 filtered out, 200 taken" in sample.out
    assert "filtered  ell_Grek: 400 lines blank\n" in sample.dry
    assert [row.split()[-4:] for row in sample.dry.splitlines() if row.startswith("all")] == [
        ["800", "400", "200", "2,200,000"]
    ]
    (tmp_path / "without").mkdir()
    write(tmp_path / f"without/{LANG}{kind}", lines)
    assert sample(sampling="{share: 0.1, min_lines: 200}", given=tmp_path / "without") == taken


def test_the_manifest_counts_blank_lines_and_line_ends(tmp_path, spm, ppa):
    corpus = tmp_path / "in"
    corpus.mkdir()
    (corpus / f"{LANG}.txt").write_bytes("".join(f"{line}\r\n\r\n" for line in LINES).encode())
    group = write_group(tmp_path / "g.yaml", [LANG], shards=1)
    assert ppa("all", "--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out") == 0
    manifest = json.loads((tmp_path / "out/data-bin/manifest.json").read_text())
    language = manifest["languages"][LANG]
    assert (language["read"], language["filtered"], language["kept"]) == (120, {"blank": 60}, 60)
    assert language["source"]["line_ends_removed"] == 120
    assert manifest["total"]["filtered"] == 60
    assert (tmp_path / f"out/text/{LANG}.txt").read_bytes() == as_text(LINES)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("kind", ["", ".gz", ".xz", ".zst"])
def test_one_line_end_of_each_line_is_taken_off(tmp_path, sample, monkeypatch, kind, block):
    """Wherever a block of the file ends."""
    monkeypatch.setattr(source_formats, "_BLOCK_BYTES", block)
    lines = ["α\r", "β", " γ \r\r", "\rδ", "ε\rζ\r", "\u2028η", "θ\r"]
    for end in ("\n", ""):
        content = ("\n".join(lines) + end).encode()
        (tmp_path / f"in/{LANG}.txt{kind}").write_bytes(COMPRESS[kind](content))
        assert sample() == [line.removesuffix("\r") for line in lines]
        assert "4 lines end in \\r, which is taken off" in sample.dry


def test_nothing_but_blank_lines(tmp_path, sample, ppa):
    write(tmp_path / f"in/{LANG}.txt", ["", " ", "\u200b"])
    sample(code=2)
    assert ppa.err == f"error: {LANG}.txt: all 3 lines of {LANG} are blank\n"


@pytest.mark.parametrize(
    "around", ["{}\r\r", " {}", "{}\t", "\u200b{}", "{}\u200e", "\u00a0{}\u3000", "\u2060{}\u00ad"]
)
def test_filters_do_not_look_at_what_is_not_seen(tmp_path, sample, around):
    copies = [around.format(line) for line in LINES]
    write(tmp_path / f"in/{LANG}.txt", [*LINES, *copies, around.format("α")])
    longest = max(map(len, LINES))
    filters = f"{{deduplicate: true, min_chars: 2, max_chars: {longest}}}"
    assert sample(filters=filters) == LINES  # the first of each, as it stands
    assert f"filtered  {LANG}: {len(LINES)} lines duplicate" in sample.dry
    assert f"filtered  {LANG}: 1 lines shorter than min_chars" in sample.dry
    write(tmp_path / f"in/{LANG}.txt", [*copies, *LINES])
    assert sample(filters=filters) == [line.removesuffix("\r") for line in copies]


# --- splits


SPLITS = {
    "json lines": (["train.jsonl"], ["test.jsonl", "validation.jsonl"]),
    "parts of the hub": (
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
        ["test-00000-of-00001.parquet", "validation-00000-of-00001.parquet"],
    ),
    "dev": (["train.txt"], ["dev.txt"]),
    "valid": (["train.txt.gz"], ["valid.txt.gz"]),
    "eval": (["training.txt"], ["eval.txt"]),
    "capitals": (["Train.txt"], ["Test.txt"]),
    "behind a name": (["ell-train.txt"], ["ell-test.txt", "ell.dev.txt"]),
    "FLORES": (["ell.train"], ["ell.devtest"]),
    "and something else": (["train.txt"], ["more.txt", "test.txt"]),
    "of training data": (["train.txt"], ["train-dev.txt"]),
}


@pytest.mark.parametrize("case", SPLITS)
def test_of_files_named_as_splits_the_training_data_alone_is_read(tmp_path, sample, ppa, case):
    training, others = SPLITS[case]
    if case == "FLORES":
        training, others = ([f"{name}.txt" for name in names] for names in (training, others))
    for number, name in enumerate(training):
        half = len(LINES) // len(training)
        write(tmp_path / "in" / LANG / name, LINES[number * half : (number + 1) * half])
    for name in others:
        write(tmp_path / "in" / LANG / name, ["απόκρυφο"])
    assert sample() == LINES
    assert sample.said == (
        f"note: {tmp_path}/in/{LANG}: {', '.join(training)} is read, {', '.join(sorted(others))} is not trained on\n"
    )
    files = json.loads((tmp_path / "out/.ppa-state/state.json").read_text())[f"sample {LANG}"]["inputs"]["files"]
    assert [name for name, _ in files] == [f"{LANG}/{name}" for name in training]


@pytest.mark.parametrize("names", [["test.txt"], ["dev.jsonl", "test.jsonl"], ["test-00000-of-00001.parquet", "x.txt"]])
def test_splits_without_training_data_are_refused(tmp_path, sample, ppa, names):
    for name in names:
        write(tmp_path / "in" / LANG / name, LINES)
    sample(code=2)
    assert ppa.err.startswith(
        f"error: {tmp_path}/in/{LANG}/{names[-1 if 'more.txt' in names else 0]} is named as test or "
    )


@pytest.mark.parametrize("names", [["a.txt", "b.txt"], ["train.txt"], ["devotions.txt", "testament.txt", "value.gz"]])
def test_names_that_mean_no_split_are_all_read(tmp_path, sample, names):
    for number, name in enumerate(names):
        half = len(LINES) // len(names)
        write(tmp_path / "in" / LANG / name, LINES[number * half : (number + 1) * half])
    assert sample() == LINES
    assert sample.said == ""


def test_a_language_whose_code_is_a_splits_name(tmp_path, ppa):
    write(tmp_path / "in/dev_Latn/dev_Latn.txt", LINES)
    (tmp_path / "g.yaml").write_text("name: g\nlanguages: {dev_Latn: }\n")
    assert ppa("sample", "--config", tmp_path / "g.yaml", "--input", tmp_path / "in", "--output", tmp_path / "out") == 0


# --- columns, limits, damage


def twice(*values: str) -> pyarrow.Table:
    return pyarrow.Table.from_arrays([pyarrow.array(LINES) for _ in values], names=list(values))


@pytest.mark.parametrize("kind", ["parquet", "stream", "file"])
@pytest.mark.parametrize("names", [("text", "text"), ("text", "id", "text"), ("id", "id", "text"), ("id", "id")])
def test_a_column_name_twice(tmp_path, sample, ppa, kind, names):
    path = tmp_path / f"in/{LANG}.{'parquet' if kind == 'parquet' else 'arrow'}"
    if kind == "parquet":
        write_parquet(path, twice(*names))
    else:
        write_arrow(path, twice(*names), stream=kind == "stream")
    if names.count("text") == 1:
        assert sample() == LINES
        return
    sample(code=2)
    count = names.count("text")
    expected = f"there are {count} columns 'text'; keep the one that holds the text"
    if not count:
        expected = "there is no 'text' but 'id', 'id'; name the text with --text-column"
    assert ppa.err == f"error: {path}: {expected}\n"


def zstd_frame(window_log: int, content: bytes) -> bytes:
    """A frame of one raw block whose header asks for that window, as `zstd --long` writes it."""
    window = bytes([0x00, (window_log - 10) << 3])
    return b"\x28\xb5\x2f\xfd" + window + (len(content) << 3 | 1).to_bytes(3, "little") + content


def test_a_zstd_window_beyond_the_limit_is_named_as_that(tmp_path, sample, ppa):
    path = tmp_path / f"in/{LANG}.txt.zst"
    path.write_bytes(zstd_frame(27, as_text(LINES)))
    assert sample() == LINES
    path.write_bytes(zstd_frame(28, as_text(LINES)))
    (tmp_path / f"out/text/{LANG}.txt").unlink()
    sample(code=2)
    assert ppa.err == (
        f"error: {path} was compressed with a window of more than 128 MB, which cannot be read here; compress it anew "
        "without --long or --ultra: zstd -dc --long=31 FILE | zstd > NEW\n"
    )


@pytest.mark.parametrize("kind", [".txt", ".txt.gz", ".txt.xz", ".txt.zst", ".jsonl"])
def test_a_line_without_end_is_bounded(tmp_path, sample, ppa, monkeypatch, kind):
    monkeypatch.setattr(source_formats, "_BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(source_formats, "_LONGEST_LINE", 1 << 20)
    path = tmp_path / f"in/{LANG}{kind}"
    lines = ["α", "β" * 1000, "a" * (1 << 21)]
    write(path, lines[:2])
    assert sample() == lines[:2]
    (tmp_path / f"out/text/{LANG}.txt").unlink()
    write(path, [*lines, "b"])
    sample(code=2)
    assert ppa.err == f"error: {path}, line 3 does not end within 1 MB: expected one sentence a line\n"


def offsets(path: Path, values: list[int], kind: pyarrow.DataType, stream: bool) -> None:
    """An Arrow file whose strings lie where its offsets say."""
    code = "<q" if kind == pyarrow.large_string() else "<i"
    buffers = [None, pyarrow.py_buffer(b"".join(struct.pack(code, n) for n in values)), pyarrow.py_buffer(b"abcd")]
    column = pyarrow.Array.from_buffers(kind, len(values) - 1, buffers)
    write_arrow(path, pyarrow.table({"text": column}), stream)


_READ_EACH = """
import sys
from pathlib import Path
from ppa_preprocess.text.source_formats import Findings, UserError, read_file
for path in map(Path, sys.argv[1:]):
    try:
        list(read_file(path, "", "text", Findings()))
    except UserError as error:
        print(error)
"""


def test_an_arrow_file_with_wrong_offsets_does_not_end_the_interpreter(tmp_path):
    """In a process of its own: pyarrow follows offsets wherever they lead."""
    paths = []
    for values in ([0, 2**30, 4], [0, -(2**30), 4], [0, 3, 2, 4]):
        for kind, stream in itertools.product((pyarrow.string(), pyarrow.large_string()), (True, False)):
            paths.append(tmp_path / f"{len(paths)}.arrow")
            offsets(paths[-1], values, kind, stream)
    run = subprocess.run([sys.executable, "-c", _READ_EACH, *map(str, paths)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said = run.stdout.splitlines()
    assert [line.partition(": ")[0] for line in said] == [f"{path} is damaged or not a .arrow file" for path in paths]


def test_memory_that_is_not_there_is_one_sentence(tmp_path, sample, ppa, monkeypatch):
    def huge(handle, path):
        raise MemoryError("malloc of size 17592186044416 failed")

    write(tmp_path / f"in/{LANG}.txt", LINES)
    monkeypatch.setattr(source_formats, "_decoded", huge)
    sample(code=2)
    assert ppa.err == (
        f"error: {tmp_path}/in/{LANG}.txt takes more memory than there is, or is damaged: malloc of size "
        "17592186044416 failed\n"
    )


# --- text that was not meant


DOUBTS = {
    "Leipzig": ([f"{n}\t{line}" for n, line in enumerate(LINES, 1)], "begin with a number and a tab"),
    "Tatoeba": ([f"{n}\tell\t{line}" for n, line in enumerate(LINES, 1)], "begin with a number and a tab"),
    "pairs": ([f"{line}\thello" for line in LINES], "hold a tab, as in a table"),
    "UTF-16": (
        [line.encode("utf-16-le").decode() for line in ("hello", "world") * 9],
        "hold NULs",
    ),
    "JSON": (as_json_lines(LINES).decode().splitlines(), "look like JSON objects"),
}


@pytest.mark.parametrize("kind", [".txt", ".gz"])
@pytest.mark.parametrize("case", DOUBTS)
def test_what_most_lines_look_like_is_said_with_the_first_such_line(tmp_path, sample, case, kind):
    lines, said = DOUBTS[case]
    write(tmp_path / f"in/{LANG}{kind}", ["", "α heading", *lines])
    assert sample() == ["α heading", *lines]
    (warning,) = [line for line in sample.out.splitlines() if line.startswith("warning")]
    assert warning.startswith(f"warning   {tmp_path}/in/{LANG}{kind}: most of its lines {said}")
    shown = repr(lines[0][:40]) + ("..." if len(lines[0]) > 40 else "")
    assert warning.endswith(f": line 3 is {shown}")
    assert warning in sample.dry.splitlines()
    sample()
    assert warning in sample.out.splitlines()  # unchanged, and no less doubtful


@pytest.mark.parametrize("first", ["WARC/1.0", "<!DOCTYPE html>", "<html>", "<?xml version='1.0'?>", "<doc id='3'>"])
def test_archives_and_markup_are_said(tmp_path, sample, first):
    write(tmp_path / f"in/{LANG}.txt", [first, *LINES])
    assert sample() == [first, *LINES]
    said = "its first line is that of an archive or of markup, and is taken for sentences as it is"
    assert sample.out.endswith(f"{LANG}.txt: {said}: line 1 is {first!r}\n")


def test_utf16_that_is_only_latin(tmp_path, sample):
    text = "hello world\n" * 50
    (tmp_path / f"in/{LANG}.txt").write_bytes(text.encode("utf-16-be"))
    sample()
    assert "most of its lines hold NULs, as in UTF-16 without a byte-order mark" in sample.out


def test_a_few_such_lines_are_no_reason_to_doubt(tmp_path, sample):
    lines = [*LINES, *(line for case in DOUBTS for line in DOUBTS[case][0][:4]), "1. α", "2024 β", "WARC/1.0"]
    write(tmp_path / f"in/{LANG}.txt", lines)
    write_corpus(tmp_path / "in", {})
    sample()
    assert "warning" not in sample.out + sample.dry


def test_doubts_are_in_the_manifest_and_said_at_the_end(tmp_path, spm, ppa):
    """The first of a kind of a language's files, not every one."""
    for name in "ab":
        write(tmp_path / "in" / LANG / f"{name}.txt", [f"{n}\t{line}" for n, line in enumerate(LINES)])
    group = write_group(tmp_path / "g.yaml", [LANG], shards=1)
    arguments = ["--config", group, "--input", tmp_path / "in", "--spm", spm, "--output", tmp_path / "out"]
    assert ppa("all", *arguments) == 0
    (warning,) = json.loads((tmp_path / "out/data-bin/manifest.json").read_text())["languages"][LANG]["warnings"]
    assert warning.startswith(f"{tmp_path}/in/{LANG}/a.txt: most of its lines begin with a number and a tab")
    assert ppa.out.count(f"warning   {warning}\n") == 2
