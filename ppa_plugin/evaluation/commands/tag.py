"""Fine-tune on one language's training set, test on the others: entity F1 (NER), and POS by seqeval and by word."""

import argparse
import sys

from ppa_plugin.evaluation.commands import finetuning
from ppa_plugin.evaluation.tasks import TAGGING, TASKS, titles
from ppa_plugin.evaluation.transfer.labelled import UNKNOWN_LABELS, TaggingSet
from ppa_plugin.evaluation.typed_text import of_flags

NAME = "tag"
HELP = f"sequence tagging: {titles(TAGGING)}"
EXAMPLE = f"""\
example:
  ppa-evaluate tag --model aligned --data eval/ner --task ner --sources eng_Latn --output results.jsonl

{finetuning.of_the_hub(TAGGING)}
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate tag`."""
    finetuning.add_flags(parser, TAGGING)
    parser.add_argument(
        "--unknown-labels",
        choices=UNKNOWN_LABELS,
        default=UNKNOWN_LABELS[0],
        help="NER: a tag that the source's training set does not have ends the run, or counts as O (%(default)s)",
    )
    parser.add_argument(
        "--raw-words",
        action="store_true",
        help="POS: words as they are in the files (default: without U+200C and inner spaces, as Glot500 prepared them)",
    )


def run(args: argparse.Namespace) -> None:
    """Train, test, append to the results file, print."""
    romanizers = of_flags(args.input, args.romanizer)
    data = TaggingSet(args.data, args.task, args.unknown_labels, args.raw_words, romanizers)
    if not TASKS[args.task].labels and args.unknown_labels == "outside":
        _count_outside(args, data)
    finetuning.run(args, data)


def _count_outside(args: argparse.Namespace, data: TaggingSet) -> None:
    for source in args.sources:
        for target in args.targets or data.targets(source):
            outside = data.outside(data.split(target, "test"), data.labels(source))
            if outside:
                listed = ", ".join(f"{count} {label}" for label, count in sorted(outside.items()))
                sys.stdout.write(f"{target}: taken for O, as {source} does not have them: {listed}\n")
