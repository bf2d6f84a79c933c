"""`--scheduler`: a Dask cluster of two processes, which die on the way, writes what processes of this machine write."""

import builtins
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster, WorkerPlugin
from distributed.utils import get_mp_context
from made_up_text import StubRomanizer, tree, write_group
from ppa_preprocess.tokens import binarizers, line_encoder
from ppa_preprocess.tokens.line_encoder import EncodingSettings

from ppa_plugin import cluster
from ppa_plugin.files import sha256
from ppa_plugin.romanization import romanizers

LANGUAGES = ("tur_Latn", "ell_Grek", "zho_Hani")


class Mortality(WorkerPlugin):
    """Gives every process of a cluster the stub romanizer, and ends it in its n-th call of each of three functions.

    An entry `<function>` in `folder` says that one has died there, so that only one does; `spared` ones go on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, worker) -> None:
        stub = StubRomanizer()
        stub.romanize = self.dying(stub.romanize, "romanize", 100)
        romanizers.ROMANIZERS["stub"] = lambda: stub
        line_encoder.rows = self.dying(line_encoder.rows, "encode", 12)
        name = "fairseq-preprocess"
        binarizers.BINARIZERS[name] = self.dying(binarizers.BINARIZERS[name], "binarize", 2)

    def dying(self, function: Callable, name: str, calls: int) -> Callable:
        left = iter(range(1, calls))

        def called(*arguments):
            result = function(*arguments)
            if next(left, None) is None and (self.folder / "armed").exists() and self.first_at(name):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return called

    def first_at(self, name: str) -> bool:
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@pytest.fixture(scope="module")
def mortality(tmp_path_factory) -> Path:
    """The folder of `Mortality`: processes die while it has an entry `armed`."""
    return tmp_path_factory.mktemp("mortality")


@pytest.fixture(scope="module")
def dask_cluster(mortality):
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        # imported once for all processes: each would spend seconds on torch and fairseq
        get_mp_context().set_forkserver_preload(["distributed", "ppa_preprocess.cli"])
        with (
            LocalCluster(2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None) as running,
            Client(running) as client,
        ):
            client.register_plugin(Mortality(mortality))
            yield running


@pytest.fixture
def group(tmp_path) -> Path:
    return write_group(tmp_path / "group.yaml", LANGUAGES, max_tokens=12, alignment="true")


def test_killed_workers_change_nothing(tmp_path, dask_cluster, mortality, group, corpus, spm, ppa, monkeypatch):
    monkeypatch.setattr("ppa_plugin.romanization.text_file._CHUNK_LINES", 16)
    monkeypatch.setattr("ppa_preprocess.encode._CHUNK_PAIRS", 16)
    monkeypatch.chdir(tmp_path)
    arguments = ["all", "--config", group, "--input", corpus, "--spm", spm, "--output"]
    assert ppa(*arguments, "local", "--workers", 2) == 0
    (mortality / "armed").touch()
    assert ppa(*arguments, "cluster", "--scheduler", dask_cluster.scheduler_address) == 0
    (mortality / "armed").unlink()
    assert "has 2 workers" in ppa.out
    assert {path.name for path in mortality.iterdir()} == {"romanize", "encode", "binarize"}
    assert tree(tmp_path / "cluster") == tree(tmp_path / "local")
    assert sum(path.startswith("data-bin/shard") for path in tree(tmp_path / "cluster")) == 54


def test_what_kills_every_worker_ends_the_run(tmp_path, dask_cluster, mortality, corpus, ppa, monkeypatch):
    monkeypatch.setattr(dask_cluster.scheduler, "allowed_failures", 0)
    (mortality / "armed").touch()
    (mortality / "romanize").unlink(missing_ok=True)
    group = write_group(tmp_path / "group.yaml", LANGUAGES)
    assert ppa("sample", "--config", group, "--input", corpus, "--output", tmp_path / "out") == 0
    flags = ["--config", group, "--output", tmp_path / "out", "--scheduler", dask_cluster.scheduler_address]
    assert ppa("romanize", *flags) == 1
    (mortality / "armed").unlink()
    assert "1 workers died of the same piece of work, maybe of too little memory, see their logs; nothing" in ppa.err
    assert "Traceback" not in ppa.err
    assert ppa("romanize", *flags) == 0


def test_a_worker_with_other_versions_ends_the_run(tmp_path, dask_cluster, group, corpus, ppa, monkeypatch):
    monkeypatch.setattr(cluster, "_versions", lambda: {**real_versions(), "uroman": "0.9"})
    assert ppa("sample", "--config", group, "--input", corpus, "--output", tmp_path) == 0
    flags = ["--config", group, "--output", tmp_path, "--scheduler", dask_cluster.scheduler_address]
    assert ppa("romanize", *flags) == 2
    assert "uroman 1.3.1.1, this machine has 0.9: install the same on both" in ppa.err


real_versions = cluster._versions


def test_another_model_under_the_same_path_is_refused(spm):
    with pytest.raises(cluster.UserError, match=r"made_up\.model on .* is another SentencePiece model than the run"):
        line_encoder.encode_chunk(EncodingSettings(spm, sha256(__file__), 512), (["a"], ["a"]))


@pytest.fixture
def taken_port():
    """The address of a port that is taken and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{taken.getsockname()[1]}"


def romanize_with(ppa, tmp_path: Path, *flags) -> int:
    (tmp_path / "in.txt").write_text("abc\n")
    return ppa("romanize", "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt", *flags)


def test_where_nobody_listens(tmp_path, taken_port, ppa, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.1)
    assert romanize_with(ppa, tmp_path, "--scheduler", taken_port) == 2
    assert ppa.err == (
        f"error: --scheduler {taken_port}: no Dask scheduler answers there; start one with `dask scheduler`, which "
        "prints its address\n"
    )
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize(
    "address", ["", "node7", "node7:8786", "tcp://node7", "tcp://:8786", "tcp://node7:port", "tcp://node7:0",
                "tcp://node7:70000", "http://node7:8786", "tcp://node7:8786/"]
)  # fmt: skip
def test_a_malformed_address(tmp_path, ppa, address):
    assert romanize_with(ppa, tmp_path, "--scheduler", address) == 2
    assert ppa.err == f"error: --scheduler {address} is not an address such as tcp://node7:8786\n"


def test_without_the_library(tmp_path, ppa, monkeypatch):
    real_import = builtins.__import__

    def without(name, *arguments):
        if name == "distributed":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real_import(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    assert romanize_with(ppa, tmp_path, "--scheduler", "tcp://node7:8786") == 2
    assert ppa.err == "error: --scheduler takes the package dask.distributed: pip install 'translit-ppa[cluster]'\n"


def test_processes_here_or_there(tmp_path, ppa):
    assert romanize_with(ppa, tmp_path, "--scheduler", "tcp://node7:8786", "--workers", 1) == 2
    assert "--workers: not allowed with argument --scheduler" in ppa.err
