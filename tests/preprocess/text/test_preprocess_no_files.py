"""Names from which nothing is read, and what has a file's name and is none: the true cause is said."""

import os
import socket
from pathlib import Path

import datasets
import pytest
from made_up_text import sentences
from source_files import write

LANG = "ell_Grek"
LINES = sentences(LANG, 60)


def saved_splits(folder: Path, *names: str) -> None:
    datasets.disable_progress_bars()
    data = datasets.Dataset.from_dict({"text": LINES})
    datasets.DatasetDict(dict.fromkeys(names, data)).save_to_disk(folder / LANG)


def link(target: str):
    return lambda folder: (folder / f"{LANG}.txt").symlink_to(target)


def named(name: str, content: bytes = b"text\n"):
    return lambda folder: (folder / name).write_bytes(content)


def listening(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # a socket's path is short
    try:
        socket.socket(socket.AF_UNIX).bind(f"{LANG}.txt")
    finally:
        os.chdir(here)


def in_directory(act):
    def within(folder: Path) -> None:
        (folder / LANG).mkdir()
        write(folder / LANG / "a.txt", LINES)
        act(folder / LANG)

    return within


FORMATS = ".txt, .jsonl (both also .gz, .xz, .zst), .gz, .xz, .zst (of text), .parquet, .arrow"
LISTS = ": the group lists ell_Grek, and --input has to hold its text"
NO_TRAIN = "and no directory `train`, which alone would be read: rename the one that is meant for training"
NAMES = {
    "no ending": (
        named(LANG),
        f"{{d}}/{LANG} has no ending that says what it holds; name it {LANG}.txt, or as it is: {FORMATS}{LISTS}",
    ),
    ".csv": (named(f"{LANG}.csv"), f"{{d}}/{LANG}.csv is of an unknown format; known are {FORMATS}{LISTS}"),
    ".tar.gz": (named(f"{LANG}.tar.gz"), f"{{d}}/{LANG}.tar.gz is of an unknown format; known are {FORMATS}{LISTS}"),
    "a directory with an ending": (
        lambda folder: write(folder / f"{LANG}.parquet/part-0.parquet", LINES),
        f"{{d}}/{LANG}.parquet is a directory, whose name has to be {LANG} alone to be found{LISTS}",
    ),
    "another case": (
        named("ELL_grek.txt"),
        f"{{d}}/ELL_grek.txt is for the code ELL_grek; name it {LANG}.txt to be found{LISTS}",
    ),
    "a split beside the code": (
        named(f"{LANG}.train.jsonl.gz"),
        f"{{d}}/{LANG}.train.jsonl.gz is for the code {LANG}.train; name it {LANG}.jsonl.gz to be found{LISTS}",
    ),
    "no train": (
        lambda folder: saved_splits(folder, "test", "validation"),
        f"{{d}}/{LANG} holds the splits test, validation {NO_TRAIN}",
    ),
    "a split of another name": (
        lambda folder: saved_splits(folder, "all"),
        f"{{d}}/{LANG} holds the splits all {NO_TRAIN}",
    ),
    "directories without train": (
        lambda folder: write(folder / LANG / "dev/a.txt", LINES),
        f"{{d}}/{LANG} holds the splits dev {NO_TRAIN}",
    ),
    "a pipe": (lambda folder: os.mkfifo(folder / f"{LANG}.txt"), f"{{d}}/{LANG}.txt is a pipe, expected a file"),
    "a pipe without ending": (lambda folder: os.mkfifo(folder / LANG), f"{{d}}/{LANG} is a pipe, expected a file"),
    "a device": (link("/dev/zero"), f"{{d}}/{LANG}.txt is a device, expected a file"),
    "a socket": (listening, f"{{d}}/{LANG}.txt is a socket, expected a file"),
    "a link to nothing": (
        link("nowhere"),
        f"cannot read the link {{d}}/{LANG}.txt -> nowhere: No such file or directory",
    ),
    "a link to itself": (
        link(f"{LANG}.txt"),
        f"cannot read the link {{d}}/{LANG}.txt -> {LANG}.txt: Too many levels of symbolic links",
    ),
    "a directory's link to nothing": (
        lambda folder: (folder / LANG).symlink_to("nowhere"),
        f"cannot read the link {{d}}/{LANG} -> nowhere: No such file or directory",
    ),
    "a pipe in a directory": (
        in_directory(lambda folder: os.mkfifo(folder / "b.txt")),
        f"{{d}}/{LANG}/b.txt is a pipe, expected a file",
    ),
    "a link in a directory": (
        in_directory(lambda folder: (folder / "b.txt").symlink_to("nowhere")),
        f"cannot read the link {{d}}/{LANG}/b.txt -> nowhere: No such file or directory",
    ),
    "state.json nested without end": (
        in_directory(lambda folder: (folder / "state.json").write_text("[" * 100_000)),
        f"{{d}}/{LANG}/state.json is not what datasets.save_to_disk writes today; save the data set again",
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", NAMES)
def test_the_true_cause_why_nothing_is_read_is_named(tmp_path, sample, ppa, case):
    spoil, sentence = NAMES[case]
    spoil(tmp_path / "in")
    sample(code=2)
    assert ppa.err == f"error: {sentence.format(d=tmp_path / 'in')}\n"


@pytest.mark.parametrize("name", [f"{LANG}.TXT", f"{LANG}.Jsonl", f"{LANG}.txt.GZ", f"{LANG}.Parquet"])
def test_endings_in_capitals(tmp_path, sample, name):
    write(tmp_path / "in" / name.lower(), LINES)
    (tmp_path / "in" / name.lower()).rename(tmp_path / "in" / name)
    assert sample() == LINES


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into everything")
@pytest.mark.parametrize("which", ["", LANG])
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_directory_that_may_not_be_looked_into(tmp_path, sample, ppa, which, mode):
    write(tmp_path / "in" / LANG / "a.txt", LINES)
    (tmp_path / "in" / which).chmod(mode)
    try:
        sample(code=2)
    finally:
        (tmp_path / "in" / which).chmod(0o755)
    assert "Permission denied" in ppa.err


def test_a_directory_that_cannot_be_listed(tmp_path, sample, ppa, monkeypatch):
    (tmp_path / "in" / LANG).mkdir()
    listing = Path.iterdir

    def denied(path):
        if path.name == LANG:
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", denied)
    sample(code=2)
    assert ppa.err == f"error: cannot read {tmp_path}/in/{LANG}: Permission denied\n"
