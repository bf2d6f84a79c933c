"""For every sentence in the source language, rank all sentences in the target language by cosine."""

import argparse
import sys

from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.readers import RETRIEVAL_TASKS

NAME = "retrieval"
HELP = "sentence retrieval: Bible verses, Tatoeba, SIB-200 sentences"
EXAMPLE = """\
example:
  ppa-evaluate retrieval --model aligned --data eval/retrieval --task bible --sources eng_Latn --output results.jsonl
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate retrieval`."""
    flags.add_model_flags(parser)
    flags.add_data_flags(
        parser,
        RETRIEVAL_TASKS,
        "languages of the queries",
        "languages to search (default: every language found)",
    )
    parser.add_argument("--layer", type=int, help="layer to pool (default: 8 of 12, else two thirds of the depth)")
    parser.add_argument(
        "--pool",
        choices=("all", "content"),
        default="all",
        help="mean over all tokens with <s> and </s> (as the paper evaluates; default) or without those two",
    )
    parser.add_argument("--batch-size", type=flags.positive, default=64, help="sentences a batch (%(default)s)")
    flags.add_output_flag(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, append to the results file, print."""
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.convert.hugging_face import locate
    from ppa_plugin.evaluation import retrieve
    from ppa_plugin.evaluation.embedding import SentenceEncoder
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.readers import RetrievalSet
    from ppa_plugin.evaluation.results import append_results
    from ppa_plugin.evaluation.tables import pivot, to_text

    data = RetrievalSet(args.data, args.task)
    pairs = retrieve.plan(data, args.sources, args.targets)
    directory = locate(args.model)
    model = Model.of(directory, args.model, args.name)
    device = flags.device_or_default(args.device)
    encoder = SentenceEncoder(directory, args.layer, args.pool, device)
    sys.stdout.write(f"{model.name}: layer {encoder.layer} of {encoder.depth}, pool {encoder.pool}, on {device}\n")
    results = retrieve.measure(encoder, model, args.task, pairs, args.batch_size)
    append_results(args.output, results)
    sys.stdout.write("\n\n".join(to_text(table) for table in pivot(results, column="metric")) + "\n")
