"""`ppa-report`: tables (Markdown, CSV, LaTeX), plots (PNG, SVG) and one self-contained page of results files."""

import argparse

from ppa_plugin import commandline
from ppa_plugin.commandline import natural

EXAMPLE = """\
examples:
  ppa-report runs/*/results.jsonl --output report
  ppa-report results.jsonl --groups examples/paper_groups.yaml --baseline Glot500 --paper examples/paper_results.csv \\
             --paper examples/paper_counts.csv --manifest data-bin/manifest.json --analysis analysis.jsonl \\
             --output report

writes into DIR: report.html (all of it), results.md, results.csv (a line a cell), results.tex and tables/*.tex (the
same tables as fragments for \\input), and each plot as .png and .svg
"""


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-report` and exit."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    # imported here, so that --help and mistyped flags do not wait for numpy and matplotlib
    from ppa_plugin.evaluation.report.command import run

    run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppa-report", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="+", metavar="results.jsonl", help="files that ppa-evaluate wrote")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the report goes")
    parser.add_argument(
        "--groups", metavar="FILE.yaml", help="name: [languages] of each table (default: one group, all)"
    )
    parser.add_argument("--baseline", metavar="NAME", help="the model that gains and significance are measured against")
    parser.add_argument(
        "--layer", type=natural, help="layer of the tables where a model was measured at several (as trained)"
    )
    parser.add_argument(
        "--paper",
        metavar="FILE.csv",
        action="append",
        default=[],
        help="published figures, or counts, to set beside the run's, cell by cell; may be given several times",
    )
    parser.add_argument(
        "--manifest",
        metavar="manifest.json",
        action="append",
        default=[],
        help="of ppa-preprocess's data-bin: sentences read and kept, by language; may be given several times",
    )
    parser.add_argument(
        "--analysis",
        metavar="analysis.jsonl",
        nargs="+",
        action="extend",
        default=[],
        help="files that ppa-evaluate vocabulary, scripts, tokens and leakage wrote; may be given several times",
    )
    parser.add_argument("--title", default="Zero-shot transfer", help="heading of the page (%(default)s)")
    return parser


if __name__ == "__main__":
    main()
