"""The processes of other machines: chunks of work on a Dask cluster that is already running (`--scheduler`)."""

import functools
import platform
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from ppa_plugin.commandline import UserError

_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:(\d{1,5})")
_CONNECT_SECONDS = 5
# what decides the bytes of a result
_PACKAGES = ("translit-ppa", "uroman", "sentencepiece", "fairseq-fixed", "numpy")

# Neither uroman nor fairseq-preprocess is made for several threads, which a Dask worker has unless told otherwise.
_one_at_a_time = threading.Lock()


class Cluster:
    """The workers of a Dask scheduler. Where one dies, the scheduler gives what it was at to another."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, function: Callable[[Any], Any], item: Any) -> Any:
        """A future of `function(item)`; its `result()` raises `UserError` where the worker has other versions."""
        # pure: results are not to be kept and looked up by what they were made of
        return self._client.submit(_compute, _versions(), function, item, pure=False)

    def size(self) -> int:
        """How many workers there are now, at least 1: work that is submitted to none waits for the first."""
        return max(1, len(self._client.nthreads()))


@contextmanager
def connect(address: str, say: Callable[[str], None]) -> Iterator[Cluster]:
    """Connect to the scheduler at `address`, such as tcp://node7:8786, and disconnect when the block ends.

    Raises `UserError` where `address` is none, where no scheduler answers within seconds and where dask.distributed is
    not installed; `OSError` where the cluster fails while the block runs. `say` is told how many workers there are.
    """
    try:
        import distributed
    except ModuleNotFoundError:
        raise UserError("--scheduler takes the package dask.distributed: pip install 'translit-ppa[cluster]'") from None
    if not (parts := _ADDRESS.fullmatch(address)) or not 0 < int(parts[2]) < 1 << 16:
        raise UserError(f"--scheduler {address} is not an address such as tcp://node7:8786")
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, MemoryError):  # what is no scheduler may answer anything, such as an absurd length
        raise UserError(
            f"--scheduler {address}: no Dask scheduler answers there; start one with `dask scheduler`, which prints "
            "its address"
        ) from None
    with client:
        count = len(client.nthreads())
        say(f"cluster   {address} has {count} workers{'' if count else ', the work waits for the first'}")
        try:
            yield Cluster(client)
        except distributed.scheduler.KilledWorker as error:
            raise OSError(
                f"--scheduler {address}: {error.allowed_failures + 1} workers died of the same piece of work, maybe of "
                "too little memory, see their logs"
            ) from None
        except (CancelledError, distributed.comm.CommClosedError):
            raise OSError(f"--scheduler {address} does not answer any more") from None


@functools.cache
def _versions() -> dict[str, str]:
    return {"Python": platform.python_version()} | {package: metadata.version(package) for package in _PACKAGES}


def _compute(versions: dict[str, str], function: Callable[[Any], Any], item: Any) -> Any:
    """What runs on a worker. Other versions there would mean other bytes, depending on who computes what."""
    for package, here in _versions().items():
        if here != versions[package]:
            raise UserError(
                f"the worker on {platform.node()} has {package} {here}, this machine has {versions[package]}: install "
                "the same on both"
            )
    with _one_at_a_time:
        return function(item)
