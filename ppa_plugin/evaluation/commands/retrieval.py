"""For every sentence in the source language, rank all sentences in the target language by cosine."""

import argparse
import sys

from ppa_plugin.commandline import natural
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.encoder.batches import BATCH_SENTENCES, BATCH_TOKENS, PRECISIONS
from ppa_plugin.evaluation.tasks import RETRIEVAL, titles
from ppa_plugin.evaluation.typed_text import of_flags

NAME = "retrieval"
HELP = f"sentence retrieval: {titles(RETRIEVAL)}"
EXAMPLE = """\
example:
  ppa-evaluate retrieval --model aligned --data eval/bible --task bible --sources eng_Latn --output results.jsonl
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate retrieval`."""
    flags.add_model_flags(parser)
    to_search = "languages to search (default: every language found but English)"
    flags.add_data_flags(parser, RETRIEVAL, "languages of the queries", to_search)
    parser.add_argument(
        "--layer",
        metavar="K",
        type=flags.layers,
        help="layer to pool, 0 = embeddings; 0,4,8 or all: each of them, in one pass "
        "(default: 8 of 12, else two thirds of the depth)",
    )
    flags.add_pool_flag(parser)
    flags.add_most_flag(parser, "--batch-size", BATCH_SENTENCES, "sentences a batch")
    flags.add_most_flag(parser, "--max-tokens", BATCH_TOKENS, "tokens a batch, padding included")
    parser.add_argument(
        "--precision",
        choices=tuple(PRECISIONS),
        default="fp32",
        help="of the encoder, on CUDA; the means over tokens are FP32 in any case (%(default)s)",
    )
    parser.add_argument(
        "--step", metavar="N", type=natural, help="the update that the model was saved at, for plots against it"
    )
    flags.add_output_flag(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, append to the results file, print."""
    romanizers = of_flags(args.input, args.romanizer)
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import append_results
    from ppa_plugin.evaluation.retrieval import retrieve
    from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
    from ppa_plugin.evaluation.tables import pivot, to_text

    data = RetrievalSet(args.data, args.task, romanizers)
    pairs = retrieve.plan(data, args.sources, args.targets)
    directory, model = Model.located(args.model, args.name)
    device = flags.device_or_default(args.device)
    encoder = SentenceEncoder(directory, args.layer, args.pool, device, args.precision)
    several = "s" if len(encoder.layers) > 1 else ""
    layers = ", ".join(map(str, encoder.layers))
    sys.stdout.write(f"{model.name}: layer{several} {layers} of {encoder.depth}, pool {encoder.pool}, on {device}\n")
    batches = args.batch_size, args.max_tokens
    results = retrieve.measure(encoder, model, args.task, pairs, *batches, args.step, romanizers)
    append_results(args.output, results)
    for layer in encoder.layers:
        sys.stdout.write(f"\nlayer {layer}\n\n" if several else "")
        tables = pivot([result for result in results if result.layer == layer], column="metric")
        sys.stdout.write("\n\n".join(to_text(table) for table in tables) + "\n")
