"""What papers print, as facts: figures of tables in percent, and counts of sentences and tokens."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.data.masking import SIDES
from ppa_plugin.evaluation.report.published.csv_facts import language, read_facts


class Published(NamedTuple):
    """One published figure; `value` 0 to 1 (percent in the file), `target` a language or `mean`."""

    group: str
    table: str
    task: str
    metric: str
    model: str
    source: str
    target: str
    value: float


class Count(NamedTuple):
    """One published count: `sentences` of a language, `distinct_tokens` of one or of `all` languages of the group.

    `side` is `orig`, the text in its own script, or `latn`, romanized; `value` as it is printed: 2.4M, 15k, 9,000.
    """

    group: str
    table: str
    quantity: str
    side: str
    language: str
    value: str

    @property
    def number(self) -> float:
        """The value as a number."""
        digits, unit = _COUNT.fullmatch(self.value).groups()
        return float(digits.replace(",", "")) * _UNITS[unit.lower()]


class Facts(NamedTuple):
    """All that files of published facts hold."""

    figures: list[Published]
    counts: list[Count]


FIELDS = Published._fields
MEAN, ALL = "mean", "all"
QUANTITIES = ("sentences", "distinct_tokens")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_COUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15}(?:\.[0-9]{1,3})?)([kKmM]?)")


def read_published(path: str) -> list[Published]:
    """Figures of a CSV file with the columns of `FIELDS`. Raises `UserError` as `read_facts` does.

    It refuses a code that is none and a value that is no percentage.
    """
    return read_facts(path, {FIELDS: _figure})


def read_paper(paths: Iterable[str]) -> Facts:
    """The figures and counts of some files, each of either kind. Raises `UserError` too for a fact in two of them."""
    found: dict[tuple, tuple[str, tuple]] = {}
    for path in paths:
        for fact in read_facts(path, {FIELDS: _figure, Count._fields: _count}):
            first, _ = found.setdefault(fact[:-1], (path, fact))
            if first is not path:
                raise UserError(f"{path} has a figure that {first} has too: {', '.join(fact[:-1])}")
    facts = [fact for _, fact in found.values()]
    return Facts([f for f in facts if isinstance(f, Published)], [f for f in facts if isinstance(f, Count)])


def _figure(given: dict[str, str]) -> Published:
    codes = {"source": language(given["source"], "source"), "target": language(given["target"], "target", MEAN)}
    try:
        value = float(given["value"])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError(f"value {quoted(given['value'])} is not a percentage from 0 to 100")
    return Published(**{**given, **codes, "value": value / 100})


def _count(given: dict[str, str]) -> Count:
    for column, allowed in (("quantity", QUANTITIES), ("side", SIDES)):
        if given[column] not in allowed:
            raise ValueError(f"{column} {quoted(given[column])} is neither {' nor '.join(allowed)}")
    if not _COUNT.fullmatch(given["value"]):
        raise ValueError(f"value {quoted(given['value'])} is not a count such as 15k, 2.4M or 9,000")
    return Count(**{**given, "language": language(given["language"], "language", ALL)})
