"""The part of a report on published figures, section by section."""

import itertools
from collections import defaultdict

from ppa_plugin.evaluation.analysis.records import Record
from ppa_plugin.evaluation.report.grid import Grid, Section
from ppa_plugin.evaluation.report.groups import Group
from ppa_plugin.evaluation.report.measured import Measured
from ppa_plugin.evaluation.report.published.averages import differing_averages, differing_table
from ppa_plugin.evaluation.report.published.comparison import Comparison, summary
from ppa_plugin.evaluation.report.published.counts import Corpus, sentence_tables, vocabulary_table
from ppa_plugin.evaluation.report.published.facts import Facts
from ppa_plugin.evaluation.report.published.matching import comparisons

TITLE = "Beside the published figures"


def paper_sections(
    measured: Measured, paper: Facts, groups: list[Group], corpora: list[Corpus], records: list[Record], rows: int
) -> list[Section]:
    """Differences of means, then the tables; closed, a published one each, where they have more than `rows` together.

    Then the averages that do not follow from their cells, and the counts of corpus (`corpora`) and vocabulary
    (`records`). Sections may be empty.
    """
    found = comparisons(measured, paper.figures, groups)
    doubts = differing_averages(paper.figures)
    listed = (differing_table(doubts),) if doubts else ()
    opening = (*_opening(found), *summary(found))
    tables: dict[str, list[Grid]] = defaultdict(list)
    for comparison in found:
        tables[f"{comparison.first.group}, {comparison.first.table}"].append(comparison.grid())
    if sum(len(grid.rows) for grids in tables.values() for grid in grids) <= rows:
        sections = [Section(TITLE, (*opening, *itertools.chain(*tables.values()), *listed))]
    else:
        sections = [Section(TITLE, opening)]
        sections += [Section(title, tuple(grids), folded=True) for title, grids in tables.items()]
        sections.append(Section("Published averages against their cells", listed, folded=True))
    vocabulary = vocabulary_table(paper.counts, records, groups)
    counts = (*sentence_tables(paper.counts, corpora, groups), *([vocabulary] if vocabulary else []))
    return [*sections, Section("Sentences and vocabulary", counts)]


def _opening(found: list[Comparison]) -> list[str]:
    """What stands beside what, in a sentence or two."""
    if not found:
        return []
    published = [key for comparison in found for key in comparison.published]
    both = sum(key in comparison.run for comparison in found for key in comparison.published)
    text = (
        f"Published: {len(published):,} figures in {len(found)} tables. Beside {both:,} of them stands one of this run."
    )
    names = ", ".join(dict.fromkeys(model for model, *_ in published))
    return [text if both else f"{text} Differences are of models that have a published one's name: {names}."]
