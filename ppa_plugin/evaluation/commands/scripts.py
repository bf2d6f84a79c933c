"""How well a linear probe on the sentence vectors tells the scripts apart at each layer, and the vectors in 2-D.

The probe is a logistic regression on standardised vectors, trained and tested on as many sentences of every script;
translations of one sentence never stand on both sides. Chance is one over the number of scripts. A layer at which the
scripts are told apart easily keeps them apart: the script barrier, to be set beside that of the model before alignment.
"""

import argparse
import sys

from ppa_plugin.commandline import progress, seed
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.encoder.batches import BATCH_SENTENCES
from ppa_plugin.evaluation.tasks import RETRIEVAL, of_kind

NAME = "scripts"
HELP = "how well a linear probe tells the scripts apart at each layer; sentence vectors in 2-D"
EXAMPLE = """\
example:
  ppa-evaluate scripts --model aligned --data eval/sib --task sib --output analysis.jsonl
  ppa-evaluate scripts --model aligned --data eval/bible --task bible --layers 0,4,8 --output analysis.jsonl
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate scripts`."""
    flags.add_model_flags(parser)
    parser.add_argument("--data", required=True, metavar="DIR", help="the directory with the files of a retrieval task")
    parser.add_argument("--task", required=True, choices=of_kind(RETRIEVAL), help="which files in it")
    flags.add_languages_flag(parser)
    parser.add_argument(
        "--layers",
        metavar="K,...",
        type=flags.layers,
        default="all",
        help="layers to probe, 0 = embeddings: 0,4,8 or all (%(default)s)",
    )
    parser.add_argument(
        "--projection",
        metavar="K,...",
        type=flags.layers,
        help="layers to project to 2-D (default: 8 of 12, else two thirds of the depth)",
    )
    flags.add_pool_flag(parser)
    flags.add_most_flag(parser, "--sentences", 200, "a language")
    parser.add_argument("--seed", metavar="N", type=seed, default=42, help="draws sentences and folds (%(default)s)")
    flags.add_most_flag(parser, "--batch-size", BATCH_SENTENCES, "sentences a batch")
    flags.add_output_flag(parser, "analysis.jsonl", "records")


def run(args: argparse.Namespace) -> None:
    """Probe and project, append to the analysis file, print."""
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.evaluation.analysis import probe, script_barrier, sentence_sample
    from ppa_plugin.evaluation.analysis.records import append_analysis, record
    from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.retrieval.readers import RetrievalSet

    data = RetrievalSet(args.data, args.task)
    languages = args.languages or data.languages
    data.check_languages(languages)
    sentence_sample.check_scripts(languages)
    samples, data_sha256 = sentence_sample.draw(data, languages, args.sentences, args.seed)
    balanced = probe.balance(samples)
    directory, model = Model.located(args.model, args.name)
    device = flags.device_or_default(args.device)
    encoder = SentenceEncoder(directory, "all", args.pool, device)
    probed, projected = (sorted(encoder.chosen(asked)) for asked in (args.layers, args.projection))
    # L x N x C float32, the vectors of one sample after the other
    sentences = [sentence for sample in samples for sentence in sample.sentences]
    vectors = encoder.encode_layers(sentences, args.batch_size).cpu().numpy()

    def of_layer(kind, values):
        return record(kind, model, data_sha256, task=args.task, pool=args.pool, **values)

    scripts = [
        of_layer("scripts", script_barrier.probe_values(layer, vectors[layer], balanced, args.seed))
        for layer in progress(probed, "probing", total=len(probed), unit="layer")
    ]
    projections = [
        of_layer("projection", script_barrier.projection_values(layer, vectors[layer], samples)) for layer in projected
    ]
    append_analysis(args.output, [*scripts, *projections])
    sys.stdout.write(script_barrier.summary([*scripts, *projections], encoder.depth))
