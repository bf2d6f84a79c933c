"""`ppa-report`: tables and plots of results files, models side by side."""

import argparse
import sys
from pathlib import Path

from ppa_plugin import commandline
from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.tables import Table, pivot, to_csv, to_markdown, to_text
from ppa_plugin.files import write_beside


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-report` and exit."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    results = [result for path in args.results for result in read_results(path)]
    if not results:
        raise UserError(f"no results in {', '.join(args.results)}")
    tables = pivot(results, column="model")
    directory = Path(args.output)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} exists and is not a directory")
    markdown = "\n\n".join(to_markdown(table) for table in tables)
    _write(directory / "results.md", f"# Results in percent\n\n{markdown}\n".encode())
    _write(directory / "results.csv", to_csv(tables).encode())
    _plot_main_metrics(tables, directory)
    sys.stdout.write("\n\n".join(to_text(table) for table in _main_tables(tables)) + "\n")
    sys.stdout.write(f"wrote {directory}: results.md, results.csv, plots\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppa-report", description=__doc__, epilog="example: ppa-report runs/*/results.jsonl --output report"
    )
    parser.add_argument("results", nargs="+", metavar="results.jsonl", help="files that ppa-evaluate wrote")
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="where results.md, results.csv and a plot for each table go"
    )
    return parser


def _main_tables(tables: list[Table]) -> list[Table]:
    """The first table, that is the main metric, of every task and source."""
    first: dict[tuple[str, str], Table] = {}
    for table in tables:
        first.setdefault((table.task, table.source), table)
    return list(first.values())


def _plot_main_metrics(tables: list[Table], directory: Path) -> None:
    from ppa_plugin.evaluation.plots import bar_plot  # matplotlib takes a second to import: not for a usage error

    for table in _main_tables(tables):
        for form, content in bar_plot(table).items():
            _write(directory / f"{table.task}_{table.source}_{table.metric}.{form}", content)


def _write(path: Path, content: bytes) -> None:
    with write_beside(path, "wb") as handle:
        handle.write(content)


if __name__ == "__main__":
    main()
