"""Sources that cannot be read as they should: one exact sentence each, exit code 2, no text of the language written."""

import errno
import json
import os
import sys

import datasets
import pyarrow
import pytest
from ppa_preprocess.text import source_formats
from source_files import COMPRESS, as_json_lines, as_text, table, write, write_arrow, write_parquet

LANG = "ell_Grek"
LINES = [f"γραμμή {number}" for number in range(300)]
FORMATS = ".txt, .jsonl (both also .gz, .xz, .zst), .gz, .xz, .zst (of text), .parquet, .arrow"
NO_OBJECT, NO_STRING = "not a JSON object", "expected a string"


def raw(suffix: str, content: bytes):
    return lambda folder: (folder / f"{LANG}{suffix}").write_bytes(content)


def half(suffix: str):
    """A file cut off in the middle, as by a download that stopped."""

    def act(folder):
        path = folder / f"{LANG}{suffix}"
        write(path, LINES)
        os.truncate(path, path.stat().st_size // 2)

    return act


def json_lines(*bad: str):
    return raw(".jsonl", as_json_lines(["α"]) + "".join(f"{line}\n" for line in bad).encode(errors="surrogatepass"))


def parquet(values, column="text", kind=None):
    return lambda folder: write_parquet(folder / f"{LANG}.parquet", table(values, column, kind))


def bytes_as_strings(folder):
    """Not UTF-8 in a column that says that it is; pyarrow does not look."""
    good, bad = b"\xce\xb1", b"\xff\xfe"
    offsets = pyarrow.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 2, 4)))
    column = pyarrow.StringArray.from_buffers(2, offsets, pyarrow.py_buffer(good + bad))
    write_arrow(folder / f"{LANG}.arrow", pyarrow.table({"text": column}))


def two_files(folder):
    write(folder / f"{LANG}.txt", LINES)
    write(folder / f"{LANG}.parquet", LINES)


def a_file_and_a_directory(folder):
    write(folder / f"{LANG}.txt", LINES)
    write(folder / LANG / "a.txt", LINES)


def in_directory(name: str):
    def act(folder):
        write(folder / LANG / "a.txt", LINES)
        (folder / LANG / name).write_bytes(b"x")

    return act


def nested(folder):
    (folder / LANG / "2024").mkdir(parents=True)


def saved_dataset(damage):
    def act(folder):
        datasets.disable_progress_bars()
        datasets.Dataset.from_dict({"text": LINES}).save_to_disk(folder / LANG)
        damage(folder / LANG)

    return act


def indices(folder):
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"_indices_data_files": [{"filename": "indices.arrow"}]}))


def languages(text: str, *files: str):
    def act(folder):
        (folder / "../group.yaml").write_text(f"name: g\nlanguages: {text}\n")
        for name in files:
            write(folder / name, LINES)

    return act


def stream_without_end(folder):
    write(folder / f"{LANG}.arrow", LINES)
    os.truncate(folder / f"{LANG}.arrow", (folder / f"{LANG}.arrow").stat().st_size - 8)


def damaged(suffix: str, kind: str, said: str) -> str:
    return f"{{d}}/{LANG}{suffix} is damaged or not a {kind} file: {said}"


MISSING = "{d}/ell_Grek.txt is missing, and so is every other file or directory of that name"
STATE = "{d}/ell_Grek/state.json is not what datasets.save_to_disk writes today; save the data set again"
CASES = {
    "nothing": (lambda folder: None, f"{MISSING}: the group lists {LANG}, and --input has to hold its text"),
    "unknown compression": (
        raw(".txt.bz2", b""),
        f"{{d}}/{LANG}.txt.bz2 is of an unknown format; known are {FORMATS}: the group lists {LANG}, and --input has "
        "to hold its text",
    ),
    "compressed what": (
        raw(".csv.gz", b""),
        f"{{d}}/{LANG}.csv.gz is of an unknown format; known are {FORMATS}: the group lists {LANG}, and --input has to "
        "hold its text",
    ),
    "unknown format in a directory": (
        in_directory("b.csv"),
        f"{{d}}/{LANG}/b.csv is of an unknown format; {{d}}/{LANG} has to hold files only, of the formats {FORMATS}",
    ),
    "a directory in a directory": (
        nested,
        f"{{d}}/{LANG}/2024 is a directory; {{d}}/{LANG} has to hold files only, of the formats {FORMATS}",
    ),
    "two files": (
        two_files,
        "{d}/ell_Grek.parquet and {d}/ell_Grek.txt are both there for ell_Grek; keep one, or make it one directory of "
        "both",
    ),
    "a file and a directory": (
        a_file_and_a_directory,
        "{d}/ell_Grek and {d}/ell_Grek.txt are both there for ell_Grek; keep one, or make it one directory of both",
    ),
    "two other codes": (
        languages("{zho_Hani: }", "cmn_Hani.txt", "zho_Hans.txt"),
        "{d}/zho_Hani.txt is missing, and so is every other file or directory of that name; cmn_Hani and zho_Hans may "
        "stand for it: choose in the group file, as in 'zho_Hani: {{sources: [cmn_Hani, zho_Hans]}}'",
    ),
    "one file for two languages": (
        languages("{arb_Arab: , ara_Arab: }", "arb_Arab.txt"),
        "--input {d}: arb_Arab.txt would be taken for arb_Arab and ara_Arab; name each one's `sources`",
    ),
    "one file for two codes": (
        languages("{fas_Arab: {sources: [fas_Arab, pes_Arab]}}", "fas_Arab.txt"),
        "--input {d}: fas_Arab.txt would be taken for two of the codes of fas_Arab; name each one's `sources`",
    ),
    "a code of sources missing": (
        languages("{fas_Arab: {sources: [fas_Arab, prs_Arab]}}", "fas_Arab.txt"),
        "{d}/prs_Arab.txt is missing, and so is every other file or directory of that name: the group lists fas_Arab, "
        "and --input has to hold its text",
    ),
    "an empty file": (raw(".txt", b""), "{d}/ell_Grek.txt is empty"),
    "an empty directory": (lambda folder: (folder / LANG).mkdir(), "{d}/ell_Grek is empty"),
    "an empty archive": (
        raw(".txt.gz", COMPRESS[".gz"](b"")),
        "ell_Grek.txt.gz is empty: there is no line of ell_Grek in it",
    ),
    "an empty table": (
        parquet([], kind=pyarrow.string()),
        "ell_Grek.parquet is empty: there is no line of ell_Grek in it",
    ),
    "not UTF-8": (
        raw(".txt", b"a\n\xff\n"),
        "{d}/ell_Grek.txt, line 2: not valid UTF-8 (invalid start byte); convert the file to UTF-8",
    ),
    "not UTF-8, compressed": (
        raw(".gz", COMPRESS[".gz"](b"a\nb\n\xe7\n")),
        "{d}/ell_Grek.gz, line 3: not valid UTF-8 (unexpected end of data); convert the file to UTF-8",
    ),
    "not UTF-8, JSON": (
        raw(".jsonl", b'{"text": "\xff"}\n'),
        "{d}/ell_Grek.jsonl, line 1: not valid UTF-8 (invalid start byte); convert the file to UTF-8",
    ),
    "not UTF-8, Arrow": (
        bytes_as_strings,
        "{d}/ell_Grek.arrow, row 2: not valid UTF-8 (invalid start byte)",
    ),
    "not gzip": (raw(".txt.gz", b"text"), damaged(".txt.gz", ".gz", "Not a gzipped file (b'te')")),
    "half a gzip": (
        half(".txt.gz"),
        damaged(".txt.gz", ".gz", "Compressed file ended before the end-of-stream marker was reached"),
    ),
    "gzip and more": (
        raw(".gz", COMPRESS[".gz"](as_text(LINES)) + b"more"),
        damaged(".gz", ".gz", "Not a gzipped file (b'mo')"),
    ),
    "not xz": (raw(".txt.xz", b"text"), damaged(".txt.xz", ".xz", "Input format not supported by decoder")),
    "half an xz": (half(".jsonl.xz"), damaged(".jsonl.xz", ".xz", "it ends in the middle of a stream")),
    "xz and more": (
        raw(".xz", COMPRESS[".xz"](as_text(LINES)) + b"and more than a header"),
        damaged(".xz", ".xz", "Input format not supported by decoder"),
    ),
    "not zstd": (
        raw(".txt.zst", b"text"),
        damaged(".txt.zst", ".zst", "ZSTD decompress failed: Unknown frame descriptor"),
    ),
    "half a zstd": (half(".txt.zst"), damaged(".txt.zst", ".zst", "Truncated compressed stream")),
    "a second zstd frame cut off": (
        raw(".zst", COMPRESS[".zst"](as_text(LINES)) + COMPRESS[".zst"](as_text(LINES))[:3]),
        damaged(".zst", ".zst", "Truncated compressed stream"),
    ),
    "JSON no object": (json_lines("[1]"), f"{{d}}/{LANG}.jsonl, line 2: {NO_OBJECT}"),
    "JSON cut off": (json_lines('{"text": "α'), f"{{d}}/{LANG}.jsonl, line 2: {NO_OBJECT}"),
    "JSON blank line": (json_lines('{"text": "α"}', ""), f"{{d}}/{LANG}.jsonl, line 3: {NO_OBJECT}"),
    "JSON nested without end": (json_lines('{"text": ' + "[" * 100_000), f"{{d}}/{LANG}.jsonl, line 2: {NO_OBJECT}"),
    "JSON without the key": (
        json_lines('{"content": "α", "id": 1}'),
        f"{{d}}/{LANG}.jsonl, line 2: there is no 'text' but 'content', 'id'; name the text with --text-column",
    ),
    "JSON of nothing": (
        json_lines("{}"),
        f"{{d}}/{LANG}.jsonl, line 2: there is no 'text' but nothing; name the text with --text-column",
    ),
    "JSON of many keys": (
        json_lines(json.dumps(dict.fromkeys("abcdefghijklm"))),
        f"{{d}}/{LANG}.jsonl, line 2: there is no 'text' but 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ...; name the "
        "text with --text-column",
    ),
    "JSON null": (json_lines('{"text": null}'), f"{{d}}/{LANG}.jsonl, line 2: 'text' is null, {NO_STRING}"),
    "JSON number": (json_lines('{"text": 12}'), f"{{d}}/{LANG}.jsonl, line 2: 'text' is 12, {NO_STRING}"),
    "JSON list": (json_lines('{"text": ["α"]}'), f"{{d}}/{LANG}.jsonl, line 2: 'text' is [\"\\u03b1\"], {NO_STRING}"),
    "JSON half a surrogate pair": (
        json_lines('{"text": "\\ud800"}'),
        f"{{d}}/{LANG}.jsonl, line 2: 'text' holds half a surrogate pair, which is no text",
    ),
    "not Parquet": (
        raw(".parquet", b"text" * 9),
        damaged(
            ".parquet",
            ".parquet",
            "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file",
        ),
    ),
    "half a Parquet": (
        half(".parquet"),
        damaged(
            ".parquet",
            ".parquet",
            "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file",
        ),
    ),
    "Parquet without the column": (
        parquet(["α"], "sentence"),
        "{d}/ell_Grek.parquet: there is no 'text' but 'id', 'sentence'; name the text with --text-column",
    ),
    "Parquet of numbers": (
        parquet([1, 2]),
        "{d}/ell_Grek.parquet: the column 'text' is of type int64, expected strings",
    ),
    "Parquet null": (
        parquet([*LINES, None, "α"]),
        "{d}/ell_Grek.parquet, row 301: 'text' is null, expected a string",
    ),
    "not Arrow": (
        raw(".arrow", b"text" * 9),
        damaged(".arrow", ".arrow", "Expected to read 1954047348 metadata bytes, but only read 32"),
    ),
    "an Arrow stream without its end": (
        stream_without_end,
        damaged(".arrow", ".arrow", "its end-of-stream mark is missing or is not its end"),
    ),
    "Arrow without the column": (
        lambda folder: write_arrow(folder / f"{LANG}.arrow", table(["α"], "sentence")),
        "{d}/ell_Grek.arrow: there is no 'text' but 'id', 'sentence'; name the text with --text-column",
    ),
    "a Git LFS pointer": (
        raw(".arrow", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "{d}/ell_Grek.arrow is a Git LFS pointer, not the file itself: run `git lfs pull` where it lies",
    ),
    "a saved dataset without a file": (
        saved_dataset(lambda folder: (folder / "data-00000-of-00001.arrow").unlink()),
        "{d}/ell_Grek/data-00000-of-00001.arrow is missing, {d}/ell_Grek/state.json lists it",
    ),
    "a saved dataset of another kind": (
        saved_dataset(lambda folder: (folder / "state.json").write_text("[]")),
        STATE,
    ),
    "a saved dataset with indices": (saved_dataset(indices), STATE),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_source_is_named(tmp_path, ppa, case):
    spoil, sentence = CASES[case]
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "group.yaml").write_text(f"name: g\nlanguages: {{{LANG}: }}\n")
    spoil(folder)
    arguments = ["--config", tmp_path / "group.yaml", "--input", folder]
    assert ppa("sample", *arguments, "--output", tmp_path / "out") == 2
    assert ppa.err == f"error: {sentence.format(d=folder)}\n"
    assert not list((tmp_path / "out").rglob("*.t*"))  # neither text nor what was on the way to it
    assert ppa("sample", *arguments, "--dry-run") == 2
    assert ppa.err == f"error: {sentence.format(d=folder)}\n"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("languages: {fas_Arab: {sources: pes_Arab}}", "sources is 'pes_Arab', expected a list of codes such as"),
        ("languages: {fas_Arab: {sources: []}}", "sources is [], expected a list of codes"),
        ("languages: {fas_Arab: {sources: [../x]}}", "sources: '../x' is not a language code"),
        ("languages: {fas_Arab: {sources: [pes_Arab, pes_Arab]}}", "sources names a code twice: pes_Arab, pes_Arab"),
        ("languages: {tur: }\nfilters: {script_share: 0.5}", "tur does not end in one, such as _Latn"),
        ("languages: {tur_Klub: }\nfilters: {script_share: 0.5}", "tur_Klub does not end in one"),
        ("languages: {tur_Latn: }\nfilters: {script_share: 2}", "filters.script_share is 2, expected a number from 0"),
        ("languages: {tur_Latn: }\nfilters: {deduplicate: 1}", "filters.deduplicate is 1, expected true or false"),
        ("languages: {tur_Latn: }\nfilters: {min_chars: -1}", "filters.min_chars is -1, expected a whole number"),
        ("languages: {tur_Latn: }\nfilters: {min_chars: 9, max_chars: 5}", "filters.max_chars is 5, expected a whole"),
        ("languages: {tur_Latn: }\nfilters: {dedupe: true}", "unknown key 'dedupe'; the nearest known key is 'dedup"),
    ],
)
def test_a_bad_group_file_is_named(tmp_path, ppa, settings, sentence):
    (tmp_path / "group.yaml").write_text(f"name: g\n{settings}\n")
    assert ppa("sample", "--config", tmp_path / "group.yaml", "--input", tmp_path, "--output", tmp_path / "out") == 2
    assert sentence in ppa.err
    assert ppa.err.count("\n") == 1


@pytest.mark.parametrize(
    ("suffix", "package"), [(".parquet", "pyarrow"), (".arrow", "pyarrow"), (".txt.zst", "pyarrow"), ("", "datasets")]
)
def test_a_missing_library_is_one_sentence(tmp_path, ppa, monkeypatch, suffix, package):
    (tmp_path / "group.yaml").write_text(f"name: g\nlanguages: {{{LANG}: }}\n")
    write(tmp_path / "in" / f"{LANG}{suffix or '.txt'}", LINES)
    monkeypatch.setitem(sys.modules, package, None)
    given = tmp_path / "in" if suffix else "hf:cis-lmu/Glot500"
    what = given / f"{LANG}{suffix}" if suffix else f"--input {given}"
    assert ppa("sample", "--config", tmp_path / "group.yaml", "--input", given, "--output", tmp_path / "out") == 2
    assert ppa.err == f"error: {what}: reading it takes the package {package}: pip install 'translit-ppa[sources]'\n"


def test_an_input_that_is_no_directory(tmp_path, ppa):
    (tmp_path / "group.yaml").write_text(f"name: g\nlanguages: {{{LANG}: }}\n")
    given = tmp_path / "text.txt"
    write(given, LINES)
    assert ppa("sample", "--config", tmp_path / "group.yaml", "--input", given, "--output", tmp_path / "out") == 2
    expected = f"--input {given} is not a directory; expected one with a file or directory for each language"
    assert ppa.err == f"error: {expected}\n"


def test_what_the_hub_or_the_network_says_is_passed_on(tmp_path, ppa, monkeypatch):
    def unreachable(path, revision):
        raise ConnectionError("Couldn't reach\n 'some/text' on the Hub")

    (tmp_path / "group.yaml").write_text(f"name: g\nlanguages: {{{LANG}: }}\n")
    arguments = ["--config", tmp_path / "group.yaml", "--input", "hf:some/text", "--output", tmp_path / "out"]
    monkeypatch.setattr(datasets, "get_dataset_config_names", unreachable)
    assert ppa("sample", *arguments) == 2
    said = "error: cannot read --input hf:some/text: ConnectionError: Couldn't reach 'some/text' on the Hub\n"
    assert ppa.err == said
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda path, revision: ["tur_Latn"])
    assert ppa("sample", *arguments) == 2
    assert ppa.err == (
        "error: --input hf:some/text has no configuration ell_Grek: the group lists ell_Grek, and --input has to hold "
        "its text\n"
    )


def test_a_disk_that_fails_in_mid_file_is_named(tmp_path, ppa, monkeypatch):
    (tmp_path / "group.yaml").write_text(f"name: g\nlanguages: {{{LANG}: }}\n")
    write(tmp_path / f"in/{LANG}.txt", LINES)
    reads = iter([b"a\nb\n"])

    def fail(self, buffer):
        for content in reads:
            buffer[: len(content)] = content
            return len(content)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(source_formats._Hashed, "readinto", fail)
    arguments = ["--config", tmp_path / "group.yaml", "--input", tmp_path / "in", "--output", tmp_path / "out"]
    assert ppa("sample", *arguments) == 2
    assert ppa.err == f"error: cannot read {tmp_path}/in/{LANG}.txt: Input/output error\n"
    assert not list((tmp_path / "out").rglob("*.t*"))
