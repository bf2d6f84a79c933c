"""What `ppa-report` does: results files read, made into tables, plots and one page, and written."""

import argparse
import sys
from pathlib import Path

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.report.grid import Grid, Picture, Section
from ppa_plugin.evaluation.report.measured import Measured, for_tables
from ppa_plugin.evaluation.report.methods import no_gains, warnings
from ppa_plugin.evaluation.report.pages import html, latex, markdown
from ppa_plugin.evaluation.report.pages.long_csv import to_csv
from ppa_plugin.evaluation.report.sections import Report
from ppa_plugin.evaluation.results import Result, read_results
from ppa_plugin.evaluation.tables import Table, check_data, pivot, to_text
from ppa_plugin.evaluation.variants import in_order, remarks
from ppa_plugin.files import check_output, write_beside


def run(args: argparse.Namespace) -> None:
    """Read the files that the flags name, write the report, print its main tables. Raises `UserError`."""
    directory = Path(args.output)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} exists and is not a directory")
    check_output(directory)
    results = in_order(result for path in args.results for result in read_results(path))
    if not results:
        raise UserError(f"no results in {', '.join(args.results)}")
    check_data(results)
    _check_layer(args.layer, results)
    chosen, notes = for_tables(results, args.layer)
    measured = Measured(chosen, args.baseline)
    if args.baseline is not None and not any(measured.is_of(row, args.baseline) for row in measured.models):
        raise UserError(
            f"--baseline {args.baseline}: no such row in the tables; there are {', '.join(measured.models)}"
        )
    notes += [*warnings(results), *remarks(chosen), *no_gains(measured, args.baseline)]
    report = Report(results, measured, notes, args)
    main_tables = _main_tables(tables := pivot(chosen, "model", args.baseline))
    sections = report.sections(main_tables)
    _write_all(directory, args.title, report, sections, tables)
    for note in report.remarks:
        sys.stderr.write(f"note: {note}\n")
    sys.stdout.write("\n\n".join(to_text(table) for table in main_tables) + "\n")
    sys.stdout.write(f"wrote {directory}: report.html, results.md, results.csv, results.tex, plots\n")


def _check_layer(layer: int | None, results: list[Result]) -> None:
    layers = sorted({result.layer for result in results if result.layer is not None})
    if layer is not None and layer not in layers:
        found = ", ".join(map(str, layers)) or "none"
        raise UserError(f"--layer {layer}: nothing was measured at that layer; layers in the results: {found}")


def _main_tables(tables: list[Table]) -> list[Table]:
    """The first table, that is the main metric, of every task and source."""
    first: dict[tuple[str, str], Table] = {}
    for table in tables:
        first.setdefault((table.task, table.source), table)
    return list(first.values())


def _write_all(directory: Path, title: str, report: Report, sections: list[Section], tables: list[Table]) -> None:
    blocks = [block for section in sections for block in section.blocks]
    pictures = [block for block in blocks if isinstance(block, Picture)]
    grids = [block for block in blocks if isinstance(block, Grid) and not block.prose]
    side_by_side = "\n\n".join(markdown.side_by_side(table) for table in tables)
    text = f"# {markdown.escape(title)}\n\n{markdown.to_markdown(sections)}\n## Models side by side\n\n{side_by_side}\n"
    files = {f"{picture.name}.{form}": content for picture in pictures for form, content in picture.files.items()}
    files |= {f"tables/{grid.name}.tex": latex.fragment(grid).encode() for grid in grids}
    files |= {"results.md": text.encode(), "results.csv": to_csv(report.measured, report.groups).encode()}
    files |= {"results.tex": latex.document(sections).encode()}
    files |= {"report.html": html.page(title, report.summary(), sections).encode()}
    for name, content in files.items():
        with write_beside(directory / name, "wb") as handle:
            handle.write(content)
