"""The command `ppa-preprocess`: raw text in, binarized pairs of original and romanized text out, step by step."""

import argparse
import dataclasses
import functools
from pathlib import Path

from ppa_preprocess import binarize, encode, plan_report, romanize, sample, verify
from ppa_preprocess.group import Group, check_language_code, load_group
from ppa_preprocess.lines import write_json_lines
from ppa_preprocess.parallel import default_workers
from ppa_preprocess.partwise import Romanization
from ppa_preprocess.romanization_cache import FILE_NAME
from ppa_preprocess.workspace import Workspace

from ppa_plugin import commandline
from ppa_plugin.commandline import UserError
from ppa_plugin.data.vocabulary import dictionary_entries

_STEPS = {
    "all": "every step after the other, from text to verified shards",
    "sample": "INPUT/<lang>.txt -> text/: a share of each language's lines",
    "romanize": "text/ -> pairs/: each line and its romanization; or, without --config, one file",
    "encode": "pairs/ -> encoded/: SentencePiece pieces, shuffled, split into training and validation",
    "binarize": "encoded/ -> data-bin/: shards as fairseq-preprocess writes them, dictionary, manifest",
    "verify": "data-bin/ against its manifest: checksums, lines, tokens, sums",
}
_NEEDS = {
    "all": ("config", "input", "spm", "output"),
    "sample": ("config", "input", "output"),
    "romanize": ("config", "output"),
    "encode": ("config", "spm", "output"),
    "binarize": ("config", "spm", "output"),
    "verify": ("output",),
}
_MEANING = {
    "config": "the group file (YAML)",
    "input": "the directory of <lang>.txt files (romanize without --config: one file)",
    "spm": "the checkpoint's sentencepiece.bpe.model",
    "output": "the directory to write to",
}
_EXAMPLE_VALUES = {
    "config": "group.yaml",
    "input": "corpus/",
    "spm": "glot500/sentencepiece.bpe.model",
    "output": "work/",
}
_ONE_FILE_EXAMPLE = """
  ppa-preprocess romanize --input tur.txt --output tur.latn.txt --lang tur
  (a line on which the romanizer fails is empty in OUTPUT and recorded in OUTPUT.dropped.jsonl)"""
_PLAN_EXAMPLE = """
  ppa-preprocess verify --output work/ --plan --passes 2 --batch 512 --arch glot500_base --pairs 16
  (updates, the flags to pass to fairseq-train, disk, and the batch size that fits the memory of a GPU)"""
_EXAMPLES = {"romanize": _ONE_FILE_EXAMPLE, "verify": _PLAN_EXAMPLE}


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-preprocess` and exit: 0 done, 1 failed, 2 bad usage or bad input."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    if args.step == "romanize" and args.config is None:
        _romanize_one_file(args)
        return
    for name in _NEEDS[args.step]:
        if getattr(args, name) is None:
            raise UserError(f"ppa-preprocess {args.step} needs --{name}: {_MEANING[name]}")
    workspace = Workspace(args.output, say=functools.partial(print, flush=True))
    if args.step == "verify":
        _verify(args, workspace)
        return
    group = load_group(args.config)
    if getattr(args, "lang", None):
        raise UserError("--lang is for a single file; with --config the group file names the codes")
    if getattr(args, "normalize_punctuation", False):
        choice = dataclasses.replace(group.romanizer, normalize_punctuation=True)
        group = dataclasses.replace(group, romanizer=choice)
    _check_before_writing(group, args)
    with workspace.locked():
        _run_steps(group, args, workspace)


def _run_steps(group: Group, args: argparse.Namespace, workspace: Workspace) -> None:
    wanted = ("sample", "romanize", "encode", "binarize", "verify") if args.step == "all" else (args.step,)
    steps = {
        "sample": lambda: sample.run(group, args.input, workspace),
        "romanize": lambda: romanize.run(group, workspace, args.workers, _cache_file(args)),
        "encode": lambda: encode.run(group, args.spm, workspace, args.workers),
        "binarize": lambda: binarize.run(group, args.spm, workspace, args.workers),
        "verify": lambda: verify.run(workspace),
    }
    for step in wanted:
        steps[step]()


def _verify(args: argparse.Namespace, workspace: Workspace) -> None:
    """Verify and, with --plan, print the plan; bad flags are found before the checksums."""
    given = {name: getattr(args, name) for name in plan_report.Training._fields if getattr(args, name) is not None}
    if given and not args.plan:
        raise UserError(f"--{next(iter(given))} says how to train and is for --plan; add --plan")
    training = plan_report.Training(**given)
    if args.plan:
        plan_report.check(training)
    manifest = verify.run(workspace)
    if args.plan:
        plan_report.run(workspace, manifest, training)


def _check_before_writing(group: Group, args: argparse.Namespace) -> None:
    """Find bad input in all that the steps will read before the first of them writes."""
    if "input" in _NEEDS[args.step]:
        for lang in group.languages:
            sample.source_file(args.input, lang)
    if "spm" in _NEEDS[args.step]:
        dictionary_entries(args.spm)
    if args.output.exists() and not args.output.is_dir():
        raise UserError(f"--output {args.output} is a file, expected a directory")
    if args.step in ("all", "binarize"):
        binarize.check_path(args.output)


def _romanize_one_file(args: argparse.Namespace) -> None:
    for name in ("input", "output"):
        if getattr(args, name) is None:
            raise UserError(f"ppa-preprocess romanize needs --{name}, a file, or --config for a group")
    if args.lang is not None:
        check_language_code(args.lang)
    if not args.input.is_file():
        raise UserError(f"{args.input} is not a file; to romanize the text of a group give --config")
    if args.output.is_dir() or (args.output.exists() and args.output.samefile(args.input)):
        raise UserError(f"--output {args.output} is a directory or the input itself; expected another file")
    settings = Romanization("uroman", args.lang, args.normalize_punctuation, _cache_file(args))
    failures = romanize.romanize_file(args.input, args.output, settings, args.workers, args.lang or args.input.stem)
    record = args.output.with_name(f"{args.output.name}.dropped.jsonl")
    if failures:
        write_json_lines(record, failures)
    else:
        record.unlink(missing_ok=True)
    print(f"romanize  {args.input} -> {args.output}, the romanizer failed on {len(failures)} lines")


def _cache_file(args: argparse.Namespace) -> Path | None:
    return args.cache / FILE_NAME if args.cache else None


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "ppa-preprocess", description=__doc__, epilog=_example("all"), formatter_class=layout
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for step, help_text in _STEPS.items():
        epilog = _example(step) + _EXAMPLES.get(step, "")
        sub = steps.add_parser(step, help=help_text, description=help_text, epilog=epilog, formatter_class=layout)
        for name, meaning in _MEANING.items():
            sub.add_argument(f"--{name}", type=Path, help=meaning)
        sub.add_argument(
            "--workers",
            type=_at_least_one,
            default=default_workers(),
            help="processes and threads (default: all cores)",
        )
        if step in ("all", "romanize"):
            _add_romanizer_flags(sub)
        if step == "romanize":
            sub.add_argument("--lang", metavar="ISO639-3", help="language code for uroman (a single file only)")
        if step == "verify":
            _add_plan_flags(sub)
    return parser


def _add_romanizer_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="a folder for romanized words that groups and runs share (default: OUTPUT/.ppa-state)",
    )
    parser.add_argument(
        "--normalize-punctuation",
        action="store_true",
        help="normalize quotes, dashes and spaces as Moses does before romanizing; changes the Latin side only",
    )


def _add_plan_flags(parser: argparse.ArgumentParser) -> None:
    defaults = plan_report.Training()
    parser.add_argument("--plan", action="store_true", help="print what a training on these shards will take")
    for name, meaning in {
        "passes": "how often each pair is seen",
        "batch": "pairs an update, over all GPUs",
        "pairs": "pairs a micro-batch of one GPU: fairseq-train's --batch-size",
    }.items():
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=_at_least_one, help=f"with --plan: {meaning} (default: {default})")
    parser.add_argument("--arch", help=f"with --plan: fairseq-train's --arch (default: {defaults.arch})")


def _example(step: str) -> str:
    return f"example:\n  ppa-preprocess {step} " + " ".join(
        f"--{name} {_EXAMPLE_VALUES[name]}" for name in _NEEDS[step]
    )


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
