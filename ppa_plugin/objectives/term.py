"""What the criterion asks of a term of the objective; `ppa_plugin.objectives.TERMS` lists those that there are."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from ppa_plugin.commandline import Range

WEIGHT = Range(0, 1_000_000)  # 0 leaves the term and its computation out


class Loss(NamedTuple):
    """One loss of a micro-batch: a mean over its pairs, in nats."""

    name: str  # in the log, one of the term's `logged`
    weight: float
    mean: Tensor  # a scalar in FP32, with its gradient
    # logged beside it under names of `logged`, each a mean over the pairs; those of `logged_over` a sum over what is
    # counted there, a pair
    figures: dict[str, Tensor]


class Term(Protocol):
    """A term is a class: what is known of it before training stands on the class, the rest on its object."""

    # a dataclass: its flags become the criterion's. `metadata` of a field: `help`, for a number its `range`,
    # and `recipe` where model cards show it whatever its value
    flags: ClassVar[type]
    # those of its flags that decide which streams it needs, which the task reads too
    decided_by: ClassVar[tuple[str, ...]]
    # every name that it may log
    logged: ClassVar[tuple[str, ...]]
    # optional: of those, figures that are means over something else than the pairs, by the one that counts it a pair
    logged_over: ClassVar[dict[str, str]]

    streams: tuple[str, ...]  # what it needs of the forward; () where it is turned off, and nothing else is then asked
    masked_streams: tuple[str, ...]  # those of them whose masked positions go through the head
    layers: tuple[int, ...]  # the layers whose output it reads

    def __init__(self, cfg: Any, depth: int) -> None:
        """`cfg` has the flags, `depth` is the number of blocks; raises `UserError` for what cannot be."""

    @staticmethod
    def needed_streams(cfg: Any) -> tuple[str, ...]:
        """`streams`, without a model. Raises `UserError` for flags that cannot be."""

    def losses(self, output: Any, sample: dict[str, Any]) -> Iterator[Loss]:
        """Its losses of a micro-batch: `output` of `ppa_plugin.model.architectures`, `sample` of `data.batch`."""
