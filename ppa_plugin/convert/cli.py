"""`ppa-convert`: Hugging Face to what fairseq trains from and back, and sub-words of romanized text for either."""

import argparse
from pathlib import Path

from ppa_plugin import commandline
from ppa_plugin.commandline import UserError, positive, say, seed
from ppa_plugin.files import check_free, directory_beside

_EXAMPLE = """\
example:
  ppa-convert to-fairseq cis-lmu/glot500-base glot500
  ppa-convert to-hf checkpoints/checkpoint_best.pt aligned
  ppa-convert extend glot500 glot500-extended --text pairs/ --pieces 10000
  ppa-convert extend glot500 glot500-transmi --init max
"""
# values of --init that take new pieces from a text, and those that take them from the vocabulary
_OF_TEXT, _OF_VOCABULARY = ("merge", "romanized"), ("mean", "max")
_LINES = 1_000_000


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-convert` and exit."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    args.command(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppa-convert", description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="to-fairseq | to-hf | extend")
    to_fairseq = commands.add_parser(
        "to-fairseq",
        help="Hugging Face XLM-R, ModernBERT or GTE -> model.pt, dict.txt, its tokenizer, hf/",
        epilog="example: ppa-convert to-fairseq cis-lmu/glot500-base glot500",
    )
    to_fairseq.add_argument("model", metavar="HF_DIR|HUB_NAME", help="a directory, or a model's name on the hub")
    to_fairseq.add_argument(
        "--new-head",
        action="store_true",
        help="give an encoder that was saved without a masked-LM head a new one, drawn at random as BERT's",
    )
    to_fairseq.add_argument("--seed", type=seed, default=1, help="of --new-head (default: 1)")
    to_fairseq.set_defaults(command=_to_fairseq)
    to_hf = commands.add_parser(
        "to-hf",
        help="fairseq checkpoint -> a directory that Transformers loads",
        epilog="example: ppa-convert to-hf checkpoints/checkpoint_best.pt aligned",
    )
    to_hf.add_argument("checkpoint", metavar="CHECKPOINT", help="a fairseq checkpoint (.pt)")
    to_hf.set_defaults(command=_to_hf)
    found = "found through the data path in the checkpoint, or beside the checkpoint"
    for command, default in ((to_fairseq, "the model's own"), (to_hf, found)):
        meaning = f"a SentencePiece model (of ModernBERT a tokenizer.json), or its directory (default: {default})"
        command.add_argument("--tokenizer", metavar="DIR|FILE", help=meaning)
    for command in (to_fairseq, to_hf, _add_extend(commands)):
        command.add_argument("output", metavar="OUT_DIR", help="the directory to write")
        command.add_argument(
            "--overwrite", action="store_true", help="replace OUT_DIR if it holds nothing but this command's own files"
        )
    return parser


def _add_extend(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "extend",
        help="a model -> the model with sub-words of romanized text, as to-fairseq writes it",
        description="Add sub-words of romanized text to SentencePiece model, dictionary, embedding and head: those of "
        "a text, or with --init mean|max the romanizations of the vocabulary itself, which need no training (TransMI, "
        "arXiv 2405.09913). Preprocess with the new sentencepiece.bpe.model and train with --finetune-from-model the "
        "new model.pt.",
        epilog="example: ppa-convert extend glot500 glot500-extended --text pairs/ --pieces 10000 --init romanized",
    )
    parser.add_argument(
        "model", metavar="FAIRSEQ_DIR|HF_DIR|HUB_NAME", help="what to-fairseq wrote, or what it would be given"
    )
    parser.add_argument(
        "--text",
        nargs="+",
        action="extend",
        metavar="FILE|DIR",
        help="romanized text; of a folder its *.latn files; may be given several times",
    )
    parser.add_argument("--pieces", type=positive, metavar="N", help="how many sub-words of the text to add")
    parser.add_argument(
        "--init",
        choices=(*_OF_TEXT, *_OF_VOCABULARY),
        default="merge",
        help="first value of a new row: the mean over the pieces that it merges (merge, the default), or over those "
        "whose romanization it is, where there are any (romanized). mean, max: without a text, what any piece is "
        "romanized to becomes one, with mean or highest score of the pieces that it romanizes, and the mean of their "
        "rows or the row of the highest",
    )
    parser.add_argument(
        "--lines",
        type=positive,
        help=f"lines of the text to look at, drawn at random (default: {_LINES})",
    )
    parser.set_defaults(command=_extend)
    return parser


def _to_fairseq(args: argparse.Namespace) -> None:
    # imported here and below, so that --help and mistyped flags do not wait for torch
    from ppa_plugin.convert.to_fairseq import FAIRSEQ_FILES, read_hugging_face, with_new_head, write_fairseq

    check_free(args.output, FAIRSEQ_FILES, args.overwrite)
    encoder = read_hugging_face(args.model, args.tokenizer)
    if args.new_head:
        encoder = with_new_head(encoder, args.seed)
    with directory_beside(args.output) as fresh:
        write_fairseq(encoder, fresh)
    padding = f" and {encoder.padding_rows:,} rows of padding" if encoder.padding_rows else ""
    say(f"wrote {args.output}: vocabulary {encoder.vocabulary_size:,}{padding}")
    say(encoder.flags)
    if args.new_head:
        say(f"its masked-LM head is new, drawn at random (seed {args.seed})")
    elif not encoder.has_head:
        say("it has no masked-LM head: train SEQ alone (--mlm-weight 0 --tlm-weight 0) or give it one with --new-head")


def _to_hf(args: argparse.Namespace) -> None:
    from ppa_plugin.convert.to_hf import HF_FILES, convert

    check_free(args.output, HF_FILES, args.overwrite)
    converted = convert(Path(args.checkpoint), args.tokenizer)
    with directory_beside(args.output) as fresh:
        converted.write(fresh, Path(args.output).absolute().name)
    config = converted.config
    say(f"wrote {args.output}: {config['num_hidden_layers']} layers, vocabulary {config['vocab_size']:,}")


def _extend(args: argparse.Namespace) -> None:
    _check_init(args)
    args.lines = args.lines or _LINES
    from ppa_plugin.convert.extension import extend

    extend.run(args)


def _check_init(args: argparse.Namespace) -> None:
    """Raise `UserError` where a text is asked for that `--init` takes nothing from, or none where it needs one."""
    if args.init in _OF_VOCABULARY:
        for flag in ("text", "pieces", "lines"):
            if getattr(args, flag) is not None:
                raise UserError(
                    f"--init {args.init} adds the romanizations of the vocabulary itself and takes no --{flag}; leave "
                    f"it out, or pass --init {'|'.join(_OF_TEXT)} for sub-words of a text"
                )
    elif args.text is None or args.pieces is None:
        missing = " and ".join(flag for flag in ("--text", "--pieces") if getattr(args, flag[2:]) is None)
        raise UserError(
            f"--init {args.init} adds sub-words of a text: pass {missing}, or --init {'|'.join(_OF_VOCABULARY)} for "
            "the romanizations of the vocabulary itself"
        )


if __name__ == "__main__":
    main()
