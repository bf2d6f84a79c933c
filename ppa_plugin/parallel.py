"""Work in several processes, results in order, memory bounded."""

import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any, TypeVar

from ppa_plugin.cluster import Cluster

Item = TypeVar("Item")
Result = TypeVar("Result")
Workers = int | Cluster  # how many processes of this machine, or those of other machines

_WAITING_A_WORKER = 4  # so that no worker idles while the oldest result is awaited


def default_workers() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ordered(function: Callable[[Item], Result], items: Iterable[Item], workers: Workers) -> Iterator[Result]:
    """Yield `function(item)` in the order of `items`, computed by `workers` (1, or but one item: in this process).

    Few items are taken ahead of the result that is due, so `items` may be far larger than memory. `function` and items
    are pickled; a cluster may compute an item twice, where one of its processes dies.
    """
    if isinstance(workers, Cluster):
        yield from _in_order(functools.partial(workers.submit, function), items, workers.size)
        return
    items = iter(items)
    first = list(itertools.islice(items, workers))
    items = itertools.chain(first, items)
    if len(first) <= 1:
        yield from map(function, items)
        return
    # Forked workers share what is loaded here; started afresh, each would spend seconds importing fairseq and uroman.
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(len(first), mp_context=context, initializer=end_with_parent)
    try:
        yield from _in_order(functools.partial(pool.submit, function), items, lambda: len(first))
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(submit: Callable[[Item], Any], items: Iterable[Item], workers: Callable[[], int]) -> Iterator[Any]:
    """Yield the results of the futures that `submit` makes of the items; `workers` says how many there are by now."""
    waiting = deque()
    for item in items:
        waiting.append(submit(item))
        while len(waiting) >= workers() * _WAITING_A_WORKER:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def end_with_parent() -> None:
    """What a process that `multiprocessing` started does first: leave Ctrl-C to its parent, and end when that ends."""
    # Ctrl-C reaches the whole process group: only the parent, which ends its workers, is to answer it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(multiprocessing.parent_process().sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    # A killed parent cannot end its workers: they would work on for hours, or wait for work for ever.
    wait([sentinel])
    os._exit(1)
