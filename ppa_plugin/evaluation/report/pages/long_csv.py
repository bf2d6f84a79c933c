"""Every cell of the tables as a line of CSV."""

import csv
import io

from ppa_plugin.evaluation.report.groups import Group
from ppa_plugin.evaluation.report.measured import Measured

FIELDS = ("group", "task", "metric", "source", "target", "model", "mean", "std", "seeds", "n", "data_sha256")


def to_csv(measured: Measured, groups: list[Group]) -> str:
    """A line a group, task, metric, source, target and model; values 0 to 1, `std` empty below two seeds.

    `seeds` is how many values the mean is of; `group` is empty for a target that no group has.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    lines = []
    for (model, column, target), cell in measured.items():
        std = "" if cell.std is None else f"{cell.std:.6f}"
        figures = (f"{cell.mean:.6f}", std, len(cell.values), cell.n, cell.data_sha256)
        names = [group.name for group in groups if group.targets([target])] or [""]
        lines += [(name, *column, target, model, *figures) for name in names]
    writer.writerows(sorted(lines, key=lambda line: line[:6]))
    return text.getvalue()
