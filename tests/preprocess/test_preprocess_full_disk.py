"""On a full disk or an unreadable file: an `OSError` that names the file, nothing torn, and the next run goes on."""

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_up_text import tree, write_group
from ppa_preprocess import binarize, encode
from ppa_preprocess.group import load_group
from ppa_preprocess.workspace import Workspace

STEPS = {"encode": encode.run, "binarize": binarize.run}
LANGUAGES = ("tur_Latn", "zho_Hani")


@contextmanager
def files_of_at_most(size: int):
    """Writing beyond that many bytes fails, in this process and those forked from it, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Work:
    """Pairs of two languages, romanized, and the steps that come after, in process."""

    def __init__(self, folder: Path, binarizer: str, corpus: Path, spm: Path, ppa):
        self.config = write_group(folder / "group.yaml", LANGUAGES, binarizer=binarizer)
        self.flags = ("--config", self.config, "--input", corpus, "--spm", spm, "--output")
        self.output, self.undisturbed, self.spm = folder / "out", folder / "undisturbed", spm
        assert ppa("all", *self.flags, self.undisturbed) == 0
        for step in ("sample", "romanize"):
            assert ppa(step, *self.flags, self.output) == 0

    def run(self, step: str, workers: int) -> None:
        workspace = Workspace(self.output, say=lambda line: None)
        with workspace.locked():
            STEPS[step](load_group(self.config), self.spm, workspace, workers)


@pytest.fixture(params=["fairseq-preprocess", "direct"])
def work(request, tmp_path, corpus, spm, ppa) -> Work:
    return Work(tmp_path, request.param, corpus, spm, ppa)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("step", "folder", "kind"), [("encode", "encoded", ".*"), ("binarize", "data-bin", ".bin")])
def test_a_full_disk_leaves_nothing_torn(work, workers, step, folder, kind):
    if step == "binarize":
        work.run("encode", workers)
        workspace = Workspace(work.output, say=lambda line: None)
        with workspace.locked():
            binarize._write_vocabulary(work.spm, workspace)  # larger than all the rest
    expected = tree(work.undisturbed / folder)
    largest = max(path.stat().st_size for path in (work.undisturbed / folder).rglob(f"*{kind}"))
    named = set()
    for room in (100, 200, largest // 2, largest - 1):  # a semaphore is a file, too, of 32 bytes
        before = tree(work.output / folder)
        with files_of_at_most(room), pytest.raises(OSError, match="File too large") as failed:
            work.run(step, workers)
        assert failed.value.errno == errno.EFBIG
        named.add(Path(failed.value.filename).relative_to(work.output).parts[0])
        assert not list(work.output.rglob("*.tmp"))
        after = tree(work.output / folder)
        assert before.items() <= after.items() <= expected.items()
        assert "manifest.json" not in after
    assert folder in named
    work.run("encode", workers)
    work.run("binarize", workers)
    assert tree(work.output) == tree(work.undisturbed)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_cannot_be_read_is_named(work, workers, monkeypatch):
    def fail(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    work.run("encode", workers)
    with monkeypatch.context() as broken:
        broken.setattr(os, "pread", fail)
        with pytest.raises(OSError, match="Input/output error") as failed:
            work.run("binarize", workers)
    encoded = work.output / "encoded/tur_Latn"
    assert failed.value.filename in {str(encoded / name) for name in ("train.orig", "orig.tokens")}
    work.run("binarize", workers)
    assert tree(work.output) == tree(work.undisturbed)
