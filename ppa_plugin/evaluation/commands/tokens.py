"""How often a block of tokens finds its romanization at each layer, or a word its translation: are tokens aligned?

A block is some tokens of a sentence and those of its romanization that they became, as in training with --tok-weight;
its vector on either side is the mean of its tokens' hidden states. It is found where the nearest one of the other side,
by cosine, is its own; candidates are the blocks of a group of sentences, without those of equal tokens on either side.
Text whose romanization is written alike has no blocks. Given --parallel and --alignments, words take the place of
blocks: a word is found where the nearest one of the translations is linked to it.
"""

import argparse
import sys

from ppa_plugin.codes import default_targets
from ppa_plugin.commandline import UserError, natural, positive, seed
from ppa_plugin.data.bounds import BLOCK_GROUP
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.encoder.batches import BATCH_SENTENCES
from ppa_plugin.evaluation.tasks import RETRIEVAL, of_kind
from ppa_plugin.romanization.by_language import parse

NAME = "tokens"
HELP = "how often a block of tokens finds its romanization at each layer, or a word its translation"
EXAMPLE = """\
example:
  ppa-evaluate tokens --model aligned --data eval/sib --task sib --output analysis.jsonl
  ppa-evaluate tokens --model aligned --parallel eng-ell.tsv --alignments eng-ell.links \\
      --languages eng_Latn,ell_Grek --output analysis.jsonl
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate tokens`."""
    flags.add_model_flags(parser)
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--data", metavar="DIR", help="the directory with the files of a retrieval task, romanized here")
    text.add_argument("--parallel", metavar="FILE", help="parallel text: a sentence, a tab, its translation a line")
    parser.add_argument("--task", choices=of_kind(RETRIEVAL), help="which files of --data")
    parser.add_argument(
        "--alignments", metavar="FILE", help="word alignments of --parallel, 0-0 1-2 a line (Pharaoh's format)"
    )
    flags.add_romanizer_flag(parser, "of --data")
    words = "which of --data (default: every one found but English), or the two of --parallel"
    parser.add_argument("--languages", metavar="L,...", type=flags.languages, help=words)
    words = "layers to measure, 0 = embeddings: 0,4,8 or all (%(default)s)"
    parser.add_argument("--layers", metavar="K,...", type=flags.layers, default="all", help=words)
    words = "languages of --data of which the report maps one sentence (default: the first that has blocks)"
    parser.add_argument("--map", metavar="L,...", type=flags.languages, help=words)
    words = "the layer of those maps (default: 8 of 12, else two thirds of the depth)"
    parser.add_argument("--map-layer", metavar="K", type=natural, help=words)
    flags.add_most_flag(parser, "--sentences", 200, "a language, or of --parallel")
    words = "the blocks of N sentences are candidates together, as in training with --tok-negatives N (%(default)s)"
    parser.add_argument("--group", metavar="N", type=positive, default=BLOCK_GROUP, help=words)
    parser.add_argument("--seed", metavar="N", type=seed, default=42, help="draws the sentences (%(default)s)")
    flags.add_most_flag(parser, "--batch-size", BATCH_SENTENCES, "sentences a batch")
    flags.add_output_flag(parser, "analysis.jsonl", "records")


def run(args: argparse.Namespace) -> None:
    """Measure, append to the analysis file, print."""
    _check_flags(args)
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.evaluation.analysis.records import append_analysis

    records, text = _measure_blocks(args) if args.parallel is None else _measure_words(args)
    append_analysis(args.output, records)
    sys.stdout.write(text)


def _check_flags(args: argparse.Namespace) -> None:
    """Raise `UserError` for flags that do not go together."""
    if args.parallel is None:
        if not args.task:
            raise UserError("--data needs --task, which says which files in it")
        if args.alignments:
            raise UserError("--alignments is of --parallel FILE, and --data has no such text")
        return
    if not args.alignments or len(args.languages or ()) != 2:
        raise UserError(
            "--parallel needs --alignments FILE, the links of its words, and --languages with those of its columns, "
            "such as eng_Latn,ell_Grek"
        )
    of_data = {"--task": args.task, "--map": args.map, "--map-layer": args.map_layer, "--romanizer": args.romanizer}
    for flag, given in of_data.items():
        if given is not None:
            raise UserError(f"{flag} is of --data; leave it out with --parallel")


def _measure_blocks(args: argparse.Namespace) -> tuple[list[dict], str]:
    """The records of blocks, and the text to print."""
    from ppa_plugin.evaluation.analysis import token_blocks
    from ppa_plugin.evaluation.retrieval.readers import RetrievalSet

    romanizers = parse(args.romanizer)
    data = RetrievalSet(args.data, args.task)
    languages = args.languages or default_targets(data.languages)
    data.check_languages(languages)
    romanizers.check_named(data.languages, args.data)
    languages = token_blocks.with_edges(languages, romanizers)
    if absent := [language for language in args.map or () if language not in languages]:
        raise UserError(f"--map {absent[0]}: it is none of the languages measured, {', '.join(languages)}")
    encoder, model, settings = _opened(args)
    (map_layer,) = encoder.chosen(args.map_layer)
    texts = token_blocks.read(data, languages, romanizers, encoder, settings)
    measured = [text for text in texts if text.pairs]
    records = [entry for text in measured for entry in token_blocks.measure_text(encoder, model, text, settings)]
    shown = [text for text in measured if text.language in args.map] if args.map else measured[:1]
    maps = [token_blocks.map_record(encoder, model, text, map_layer) for text in shown]
    without = [text.language for text in texts if not text.pairs]
    return [*records, *maps], token_blocks.summary(records, encoder.depth, without)


def _measure_words(args: argparse.Namespace) -> tuple[list[dict], str]:
    """The records of words, and the text to print."""
    from ppa_plugin.evaluation.analysis import word_alignments

    text = word_alignments.read(args.parallel, args.alignments, *args.languages)
    encoder, model, settings = _opened(args)
    records = word_alignments.measure_text(encoder, model, text, settings)
    return records, word_alignments.summary(records, encoder.depth)


def _opened(args: argparse.Namespace) -> tuple:
    """The encoder, what records say of the model, and the settings of the measurement."""
    from ppa_plugin.evaluation.analysis import nearest
    from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
    from ppa_plugin.evaluation.model import Model

    directory, model = Model.located(args.model, args.name)
    encoder = SentenceEncoder(directory, "all", device=flags.device_or_default(args.device))
    nearest.check_tokenizer(encoder)
    layers = tuple(sorted(encoder.chosen(args.layers)))
    return encoder, model, nearest.Settings(layers, args.sentences, args.group, args.seed, args.batch_size)
