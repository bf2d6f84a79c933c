"""The report's sections, in the order in which a paper would have them."""

import argparse
from dataclasses import replace

from ppa_plugin.evaluation.report import analysis_tables, methods, paper_tables, token_tables
from ppa_plugin.evaluation.report.grid import Grid, Picture, Section, slug, with_unique_names
from ppa_plugin.evaluation.report.groups import EVERYTHING, Group, read_groups
from ppa_plugin.evaluation.report.measured import Measured, last_steps, one_layer
from ppa_plugin.evaluation.report.plots.analysis_figures import probe_plot, projection_plot
from ppa_plugin.evaluation.report.plots.drawing import bar_plot
from ppa_plugin.evaluation.report.plots.figures import layer_curves, step_curves
from ppa_plugin.evaluation.report.plots.heat_maps import OVERVIEW_ROWS, gain_maps, overview
from ppa_plugin.evaluation.report.plots.token_maps import layer_plots, map_pictures
from ppa_plugin.evaluation.report.published.counts import read_manifest
from ppa_plugin.evaluation.report.published.facts import read_paper
from ppa_plugin.evaluation.report.published.sections import paper_sections
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.tables import Table

# Tables of metrics that are not the main ones, and published ones, are closed on the page where they have more rows
# than this together.
FOLDED_ROWS = 60


class Report:
    """Everything that a report shows; the files that flags name are read on construction.

    `remarks` are what a reader has to know of the choices made. Raises `UserError` for what is wrong in a file.
    """

    def __init__(self, results: list[Result], measured: Measured, notes: list[str], flags: argparse.Namespace):
        """Of `ppa-report`'s flags it heeds --groups, --baseline, --layer, --paper, --manifest and --analysis."""
        self.results, self.measured = results, measured
        self.baseline, self.layer = flags.baseline, flags.layer
        self.groups = read_groups(flags.groups) if flags.groups else [EVERYTHING]
        self.paper = read_paper(flags.paper)
        self.corpora = [read_manifest(path) for path in flags.manifest]
        self.analysis = analysis_tables.read_by_kind(flags.analysis)
        self.vocabulary = self.analysis.get("vocabulary", [])
        self.remarks = [*notes, *self._group_remarks()]

    def _group_remarks(self) -> list[str]:
        found = {target for targets in self.measured.targets.values() for target in targets}
        left = sorted(found - {target for group in self.groups for target in group.targets(found)})
        remarks = [f"In no group, so in no table: {', '.join(left)} (results.csv has them)."] if left else []
        empty = [group.name for group in self.groups if not group.targets(found)]
        return remarks + [f"Nothing was measured on group {name}." for name in empty]

    def summary(self) -> str:
        """One sentence on what the page holds."""
        models, tasks = len(self.measured.models), len(self.measured.tasks)
        seeds = sorted({result.seed for result in self.results if result.seed is not None})
        parts = [
            f"{models} {'model' if models == 1 else 'models'} on {tasks} {'task' if tasks == 1 else 'tasks'}",
            f"{len(self.results):,} results",
        ]
        if seeds:
            parts.append(f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} ({', '.join(map(str, seeds))})")
        if self.baseline:
            parts.append(f"baseline {self.baseline}")
        return "; ".join(parts) + "."

    def sections(self, main_tables: list[Table]) -> list[Section]:
        """All sections that have something to show, the overview first."""
        note = "Means stand right of the line."
        bars = [
            Picture(slug(t.task, t.source, t.metric), t.title, f"{note} {t.note}".strip(), bar_plot(t))
            for t in main_tables
        ]
        opening = overview(self.measured, self.groups, self.baseline)
        if len(bars) == 1:  # few enough to see at once
            opening, bars = replace(opening, blocks=(*opening.blocks[:1], *bars, *opening.blocks[1:])), []
        sections = [
            opening,
            Section("Remarks", tuple(self.remarks)),
            *(self._group_section(group) for group in self.groups),
            Section("Checkpoints", tuple(self._step_plots())),
            Section("Layers", tuple(p for group in self.groups for p in layer_curves(last_steps(self.results), group))),
            *paper_sections(self.measured, self.paper, self.groups, self.corpora, self.vocabulary, FOLDED_ROWS),
            Section("What explains the numbers", tuple(self._analysis_blocks())),
            Section("Bars, target by target", tuple(bars)),
            *(self._other_section(group) for group in self.groups),
            Section("How it was measured", tuple(methods.method_tables(self.results))),
        ]
        return with_unique_names([section for section in sections if section.blocks])

    def _group_section(self, group: Group) -> Section:
        blocks = paper_tables.main_blocks(self.measured, group, self.groups)
        grids: list[Grid] = []
        for block in blocks:
            averages = paper_tables.average_table(self.measured, block, self.baseline)
            grids += [paper_tables.main_table(self.measured, block), averages]
        # from a single source each, they are what the overview shows
        several = any(len(block.part(column)) > 1 for block in blocks for column in block.columns)
        more = len(group.targets(t for block in blocks for t in block.targets)) > OVERVIEW_ROWS
        maps = gain_maps(self.measured, blocks, group, self.baseline) if self.baseline and (several or more) else []
        return Section(group.name, (*maps, *grids))

    def _other_section(self, group: Group) -> Section:
        blocks = paper_tables.other_blocks(self.measured, group, self.groups)
        grids = tuple(paper_tables.main_table(self.measured, block) for block in blocks)
        folded = sum(len(grid.rows) for grid in grids) > FOLDED_ROWS
        return Section(f"{group.name}, other metrics", grids, folded)

    def _step_plots(self) -> list[Picture]:
        results = one_layer(self.results, self.layer)
        return [p for group in self.groups for p in step_curves(results, self.measured, group, self.baseline)]

    def _analysis_blocks(self) -> list[Grid | Picture]:
        grids = analysis_tables.vocabulary_tables(self.vocabulary)
        probe = analysis_tables.script_table(self.analysis.get("scripts", []))
        pictures = probe_plot(self.analysis.get("scripts", [])) + projection_plot(self.analysis.get("projection", []))
        leakage = analysis_tables.leakage_tables(self.analysis.get("leakage", []))
        return [*grids, *([probe] if probe else []), *pictures, *self._token_blocks(), *leakage]

    def _token_blocks(self) -> list[Grid | Picture]:
        blocks, words, maps = (self.analysis.get(kind, []) for kind in ("tokens", "words", "token_map"))
        lines = [*token_tables.block_lines(blocks), *token_tables.word_lines(words)]
        grids = [*token_tables.layer_tables(lines), *token_tables.language_tables(blocks)]
        return [*grids, *layer_plots(lines), *map_pictures(maps)]
