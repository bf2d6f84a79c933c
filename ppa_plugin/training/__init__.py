"""What a run needs besides task and criterion: its plan, its start, its failures, retrieval while validating."""

from typing import NamedTuple


class Training(NamedTuple):
    """How one means to train, for its plan; the defaults are the paper's."""

    passes: int = 2
    batch: int = 512
    pairs: int = 16
    arch: str = "glot500_base"
    flags: str = ""  # others of fairseq-train's, those of task and criterion
