"""How many lines of the evaluation data stand in a corpus, by set and language.

Compared are letters and digits alone, after NFKC and without case. A line is `exact` where it is a line of the corpus,
and `contained` where it stands inside one and is long: 8 words, or 24 characters of a script written without spaces.
Every line is looked for in the text of every language. `filters: {exclude: [DIR, ...]}` in the group file of
ppa-preprocess leaves these lines out.
"""

import argparse
import sys
from pathlib import Path

from ppa_plugin.commandline import progress
from ppa_plugin.evaluation.commands import flags

NAME = "leakage"
HELP = "how many lines of the evaluation data stand in a corpus"
EXAMPLE = """\
example:
  ppa-evaluate leakage --corpus work/text --data eval/ --output analysis.jsonl
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate leakage`."""
    parser.add_argument("--corpus", required=True, metavar="DIR", help="a directory of <lang>.txt, a sentence a line")
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR",
        help="a directory with evaluation files of any task, in it or in its directories, or one file",
    )
    flags.add_output_flag(parser, "analysis.jsonl", "records")


def run(args: argparse.Namespace) -> None:
    """Count, append to the analysis file, print."""
    from ppa_plugin.evaluation.analysis.leakage import Leakage, table
    from ppa_plugin.evaluation.analysis.records import append_analysis
    from ppa_plugin.evaluation.analysis.romanized_text import by_language
    from ppa_plugin.files import read_lines, sha256
    from ppa_plugin.leakage.evaluation_files import evaluation_files

    texts = by_language(Path(args.corpus), ".txt", "text of one sentence a line")
    leakage = Leakage(evaluation_files(Path(args.data)))
    for language, path in texts.items():
        leakage.look_in(progress(read_lines(path), f"leakage {language}"))
    records = leakage.records(args.corpus, sha256(*texts.values()))
    append_analysis(args.output, records)
    sys.stdout.write(table(records) + "\n")
