"""Work in processes of its own, so that what kills one (a segfault, no memory) costs one item and not the run."""

import contextlib
import multiprocessing
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TextIO

from ppa_plugin.commandline import UserError, keep_streams
from ppa_plugin.parallel import end_with_parent

# CUDA cannot be used in a process forked from one that has used it
_START = "spawn"


@dataclass(frozen=True)
class Outcome:
    """What became of an item: its value, or the reason why there is none. `crashed`: it was not the user's input."""

    value: Any = None
    reason: str = ""
    crashed: bool = False
    seconds: float = 0.0


def attempt(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """`function(*arguments)`, or the sentence of what it raises."""
    started = time.monotonic()
    try:
        return Outcome(function(*arguments), seconds=time.monotonic() - started)
    except UserError as error:
        return Outcome(reason=str(error))
    except Exception as error:
        return Outcome(reason=_sentence(error), crashed=True)


def in_processes(
    function: Callable[..., Any], items: Iterable[Any], devices: list[str], threads: int
) -> Iterator[tuple[Any, Outcome]]:
    """Yield every item and what became of it, as they finish; items are begun in their order.

    One process a device (a device may be listed twice) calls `function(item, device)` with `threads` threads on the
    CPU. A process that ends, or that an error of the program left in an unknown state, is replaced.
    """
    waiting = deque(items)
    workers = [_Worker(function, device, threads) for device in devices[: len(waiting)]]
    try:
        while True:
            for worker in workers:
                if worker.item is None and waiting:
                    worker.begin(waiting.popleft())
            busy = [worker for worker in workers if worker.item is not None]
            if not busy:
                return
            # the process too: its own children may hold its end of the pipe open
            ready = wait([handle for worker in busy for handle in (worker.connection, worker.process.sentinel)])
            for worker in busy:
                if worker.connection in ready or worker.process.sentinel in ready:
                    item, outcome = worker.end()
                    if outcome.crashed:
                        worker.stop()
                    yield item, outcome
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process and the item that it works on, in a tuple; None while it is idle. It starts with its first item."""

    def __init__(self, function: Callable[..., Any], device: str, threads: int):
        self._arguments = (function, device, threads)
        self.item: tuple[Any] | None = None
        self.process = self.connection = None

    def begin(self, item: Any) -> None:
        if self.process is None:
            context = multiprocessing.get_context(_START)
            self.connection, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, *self._arguments))
            self.process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
        self.item = (item,)
        with contextlib.suppress(OSError):  # the process has ended, which `end` will find
            self.connection.send(item)

    def end(self) -> tuple[Any, Outcome]:
        """The item and what became of it, once the connection is ready."""
        (item,), self.item = self.item, None
        with contextlib.suppress(EOFError, OSError):
            if self.connection.poll():
                return item, self.connection.recv()
        self.process.join()
        return item, Outcome(reason=_death(self.process.exitcode), crashed=True)

    def stop(self) -> None:
        """End the process; the next item starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None


def _serve(connection: Connection, function: Callable[..., Any], device: str, threads: int) -> None:
    """What a worker does: take items, send what became of them."""
    end_with_parent()
    keep_streams()
    import torch

    torch.set_num_threads(threads)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        sys.stderr = _Prefixed(sys.__stderr__, str(item))
        connection.send(attempt(function, item, device))


class _Prefixed:
    """A stream whose lines say which item they are about; no terminal, so that progress comes as lines."""

    def __init__(self, stream: TextIO, prefix: str):
        self._stream, self._prefix = stream, prefix

    def write(self, text: str) -> int:
        self._stream.write(
            "".join(f"{self._prefix}: {line}" if line.strip() else line for line in text.splitlines(True))
        )
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return False


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    hint = ", as it does where memory runs out" if -code == signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{hint}"


def _sentence(error: Exception) -> str:
    """An error of the program as one line that says where it was raised."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory: {text or 'a smaller batch_size takes less'}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"
