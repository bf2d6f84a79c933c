"""Fine-tune on one language's training set, test on the others: macro-F1 and accuracy on Taxi1500 and SIB-200."""

import argparse

from ppa_plugin.evaluation.commands import finetuning
from ppa_plugin.evaluation.transfer.labelled import CLASSES, ClassificationSet

NAME = "classify"
HELP = "text classification: Taxi1500, SIB-200"
EXAMPLE = """\
example:
  ppa-evaluate classify --model aligned --data eval/sib200 --task sib200 --sources eng_Latn --output results.jsonl

--data may also be hf:Davlan/sib200, with --targets.
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate classify`."""
    finetuning.add_flags(parser, tuple(CLASSES))


def run(args: argparse.Namespace) -> None:
    """Train, test, append to the results file, print."""
    from ppa_plugin.evaluation.transfer.classify import Classifier  # not for --help: it takes torch

    finetuning.run(args, Classifier, ClassificationSet(args.data, args.task))
