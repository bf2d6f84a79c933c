"""Processes that work for another one, and are of no use without it."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """What a process that `multiprocessing` started does first: leave Ctrl-C to its parent, and end when that ends."""
    # Ctrl-C reaches the whole process group: only the parent, which ends its workers, is to answer it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(multiprocessing.parent_process().sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    # A killed parent cannot end its workers: they would work on for hours, or wait for work for ever.
    wait([sentinel])
    os._exit(1)
