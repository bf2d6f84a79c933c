"""What a run needs besides task and criterion: its plan, its start, its failures, retrieval while validating."""

from typing import NamedTuple


class Training(NamedTuple):
    """How one means to train, for its plan; the defaults are the paper's, but for the micro-batch."""

    passes: int = 2
    batch: int = 512
    pairs: int = 256  # the most of a micro-batch; `plan.CONTRAST` and `plan.MLM_GROUP` make it as good as the paper's
    arch: str = "glot500_base"
    flags: str = ""  # others of fairseq-train's, those of task and criterion
