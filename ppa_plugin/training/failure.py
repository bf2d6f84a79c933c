"""A rank that fails ends the run on all ranks: fairseq would go on without it while the others wait for it."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ppa_plugin.objectives.gather import rank_and_world

logger = logging.getLogger(__name__)


@contextmanager
def end_run_on_failure(step: str) -> Iterator[None]:
    """Around a forward and backward: turn any failure into one sentence that names the rank, and end this process.

    fairseq catches an out-of-memory error and goes on with the next micro-batch, whose collectives the other ranks do
    not expect; and a batch left out is data silently dropped. So the process ends with code 1: its peers' collectives
    then fail (gloo), its launcher ends them (`torch.multiprocessing.spawn`, torchrun), or NCCL's watchdog does.
    """
    try:
        yield
    except Exception as error:
        rank, world = rank_and_world()
        if _out_of_memory(error):
            reason = "out of memory; use a smaller --batch-size or --max-tokens with a larger --update-freq"
        else:
            logger.exception("rank %d failed in %s", rank, step)
            reason = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"error: rank {rank} of {world} failed in {step}: {reason}; the run ends on all ranks\n")
        sys.stderr.flush()
        if world > 1:
            # leaving in the ordinary way can wait for the collectives of the others
            logging.shutdown()
            os._exit(1)
        raise SystemExit(1) from None


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
