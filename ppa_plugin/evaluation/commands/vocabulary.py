"""How a model's tokenizer covers the text of each language before and after romanization (the paper's Table 6).

A line a language: distinct tokens used, share of tokens that are not <unk>, tokens a word, and the share of its
distinct tokens that another language uses too. `orig` is the text in its own script, `latn` its romanization. Where a
script is written without spaces, tokens are set against characters of the original, on both sides.
"""

import argparse
import os
import sys

from ppa_plugin.commandline import UserError, positive, progress, workers
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.romanization.by_language import parse

NAME = "vocabulary"
HELP = "how the tokenizer covers each language before and after romanization"
EXAMPLE = """\
example:
  ppa-evaluate vocabulary --model aligned --data corpus/ --output analysis.jsonl
  ppa-evaluate vocabulary --model aligned --pairs work/pairs --languages tur_Latn,ell_Grek --output analysis.jsonl
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate vocabulary`."""
    flags.add_model_flags(parser, device=False)
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--data", metavar="DIR", help="a directory of <lang>.txt, which is romanized here")
    text.add_argument("--pairs", metavar="DIR", help="a directory of <lang>.orig and <lang>.latn, romanized already")
    flags.add_romanizer_flag(parser, "of --data")
    flags.add_languages_flag(parser)
    parser.add_argument(
        "--lines", metavar="N", type=positive, help="read the first N lines of a language (default: all)"
    )
    parser.add_argument("--workers", metavar="N", type=workers, help="processes that romanize (default: all cores)")
    parser.add_argument("--cache", metavar="DIR", help="a folder to keep romanized words in (default: none are kept)")
    flags.add_output_flag(parser, "analysis.jsonl", "records")


def run(args: argparse.Namespace) -> None:
    """Count, append to the analysis file, print."""
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.convert.hugging_face import read_config
    from ppa_plugin.evaluation.analysis import romanized_text, vocabulary_use
    from ppa_plugin.evaluation.analysis.records import append_analysis
    from ppa_plugin.evaluation.encoder.loading import check_ids, load_tokenizer
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.parallel import default_workers

    if args.pairs:
        if args.romanizer is not None:
            raise UserError("--romanizer is of --data; leave it out with --pairs, which are romanized already")
        source, remark = romanized_text.PairFiles(args.pairs), {}
    else:
        romanizers = parse(args.romanizer)
        source = romanized_text.TextFiles(args.data, args.workers or default_workers(), args.cache, romanizers)
        remark = romanizers.remark()
    languages = args.languages or source.languages
    for language in languages:
        if language not in source.languages:
            found = ", ".join(source.languages)
            raise UserError(f"{args.pairs or args.data} has no text in {language}; found: {found}")
    directory, model = Model.located(args.model, args.name)
    # The processes that romanize are forked after threads of the tokenizer have run, and never tokenize.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    tokenizer = load_tokenizer(directory)
    check_ids(tokenizer, read_config(directory).get("vocab_size", len(tokenizer)), directory)
    coverages = []
    for language in languages:
        pairs = progress(source.pairs(language, args.lines), f"vocabulary {language}")
        coverages += vocabulary_use.cover(language, pairs, tokenizer)
    records = vocabulary_use.records(coverages, model, remark)
    append_analysis(args.output, records)
    sys.stdout.write(f"{model.name}: {len(tokenizer):,} tokens in the vocabulary; shares in percent\n")
    sys.stdout.write(vocabulary_use.table(records) + "\n")
