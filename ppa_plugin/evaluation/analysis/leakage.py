"""How many lines of evaluation data stand in a corpus, by set and language."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from ppa_plugin.commandline import align
from ppa_plugin.evaluation.analysis.records import Record
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.files import sha256
from ppa_plugin.leakage.evaluation_files import EvaluationFile
from ppa_plugin.leakage.matcher import Key, Matcher

COUNTS = ("lines", "exact", "contained")


@dataclass
class SetLines:
    """The different lines of a set in one language that have a letter or digit, and the files that they are in."""

    set: str
    language: str
    paths: list[Path] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)


class Leakage:
    """The lines of evaluation files, and those of them found in a corpus so far.

    A line that is a whole line of the corpus is `exact`; one that stands within lines of it alone is `contained`. A
    line is looked for in the corpus's text of every language.
    """

    def __init__(self, files: Iterable[EvaluationFile]) -> None:
        """Read the files. Raises `UserError` where one cannot be read as what its name says."""
        self._matcher = Matcher()
        self._sets: dict[tuple[str, str], SetLines] = {}
        self._exact: set[Key] = set()
        self._within: set[Key] = set()
        for file in files:
            lines = self._sets.setdefault((file.set, file.language), SetLines(file.set, file.language))
            lines.paths.append(file.path)
            lines.keys.update(filter(None, map(self._matcher.add, file.sentences())))

    def look_in(self, corpus: Iterable[str]) -> None:
        """Look for the lines in those of a corpus."""
        for line in corpus:
            for key, whole in self._matcher.found_in(line):
                (self._exact if whole else self._within).add(key)

    def records(self, corpus: str, corpus_sha256: str) -> list[Record]:
        """A `leakage` record of every set and language, in their order."""
        return [self._record(self._sets[which], corpus, corpus_sha256) for which in sorted(self._sets)]

    def _record(self, lines: SetLines, corpus: str, corpus_sha256: str) -> Record:
        exact, contained = len(lines.keys & self._exact), len(lines.keys & (self._within - self._exact))
        return {
            "kind": "leakage",
            "corpus": corpus,
            "corpus_sha256": corpus_sha256,
            "set": lines.set,
            "language": lines.language,
            "lines": len(lines.keys),
            "exact": exact,
            "contained": contained,
            "share": (exact + contained) / len(lines.keys) if lines.keys else 0.0,
            "data_sha256": sha256(*lines.paths),
            "version": version("translit-ppa"),
        }


def total(entries: Iterable[Record]) -> dict[str, int | float]:
    """The counts of `leakage` records together; a line of two sets or languages counts in each."""
    counts = {name: sum(entry[name] for entry in entries) for name in COUNTS}
    return counts | {"share": (counts["exact"] + counts["contained"]) / counts["lines"] if counts["lines"] else 0.0}


def table(entries: list[Record]) -> str:
    """The records of one run as a table: a set and language a row, all of them below."""
    rows = [["set", "language", *COUNTS, "in the corpus (%)"]]
    for labels, counts in [*(((e["set"], e["language"]), e) for e in entries), (("all", ""), total(entries))]:
        rows.append([*labels, *(f"{counts[name]:,}" for name in COUNTS)])
        rows[-1].append(percent(counts["share"]))
    return "\n".join(align(rows))
