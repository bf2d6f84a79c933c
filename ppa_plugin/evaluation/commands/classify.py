"""Fine-tune on one language's training set, test on the others: macro-F1 and accuracy."""

import argparse

from ppa_plugin.evaluation.commands import finetuning
from ppa_plugin.evaluation.tasks import CLASSIFICATION, titles
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet
from ppa_plugin.evaluation.typed_text import of_flags

NAME = "classify"
HELP = f"text classification: {titles(CLASSIFICATION)}"
EXAMPLE = f"""\
example:
  ppa-evaluate classify --model aligned --data eval/sib200 --task sib200 --sources eng_Latn --output results.jsonl

{finetuning.of_the_hub(CLASSIFICATION)}
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate classify`."""
    finetuning.add_flags(parser, CLASSIFICATION)


def run(args: argparse.Namespace) -> None:
    """Train, test, append to the results file, print."""
    finetuning.run(args, ClassificationSet(args.data, args.task, of_flags(args.input, args.romanizer)))
