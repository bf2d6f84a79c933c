"""The command `ppa-preprocess`: raw text in, binarized pairs of original and romanized text out, step by step."""

import argparse
import dataclasses
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ppa_preprocess import binarize, dry_run, encode, romanize, sample, verify
from ppa_preprocess.group import NUMBERS, Group, check_language_code, load_group
from ppa_preprocess.text.exclusion import load_matcher
from ppa_preprocess.text.source_formats import KNOWN_FORMATS
from ppa_preprocess.text.sources import Source, find_sources
from ppa_preprocess.tokens.binarizers import BINARIZERS
from ppa_preprocess.workspace import Workspace

from ppa_plugin import commandline
from ppa_plugin.cluster import connect
from ppa_plugin.commandline import UserError, natural, positive, say, workers
from ppa_plugin.data.vocabulary import dictionary_entries, is_tokenizer_json
from ppa_plugin.files import check_output, write_json_lines
from ppa_plugin.parallel import Workers, default_workers
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.cache import FILE_NAME
from ppa_plugin.romanization.romanizers import DEFAULT, PACKAGED, ROMANIZERS, find_romanizer
from ppa_plugin.romanization.text_file import romanize_file
from ppa_plugin.training import Training

_STEPS = {
    "all": "every step after the other, from text to verified shards",
    "sample": "INPUT -> text/: a share of each language's lines",
    "romanize": "text/ -> pairs/: each line and its romanization; or, without --config, one file",
    "encode": "pairs/ -> encoded/: SentencePiece tokens, shuffled, split into training and validation",
    "binarize": "encoded/ -> data-bin/: shards as fairseq-preprocess writes them, dictionary, manifest",
    "verify": "data-bin/ against its manifest: checksums, lines, tokens, sums, and a sample of pairs against its text",
}
_NEEDS = {
    "all": ("config", "input", "spm", "output"),
    "sample": ("config", "input", "output"),
    "romanize": ("config", "output"),
    "encode": ("config", "spm", "output"),
    "binarize": ("config", "spm", "output"),
    "verify": ("output",),
}
_ON_A_CLUSTER = ("all", "romanize", "encode", "binarize")
# what each is, and an example of it
_PATHS = {
    "config": ("the group file (YAML)", "group.yaml"),
    "input": (
        f"the directory with a file <lang>.txt or a directory <lang>/ for each language, of the formats "
        f"{KNOWN_FORMATS}, also as datasets.save_to_disk writes them; or hf:NAME, a dataset of the hub "
        "(romanize without --config: one file)",
        "corpus/",
    ),
    "spm": ("the checkpoint's sentencepiece.bpe.model, or its tokenizer.json", "glot500/sentencepiece.bpe.model"),
    "output": ("the directory to write to", "work/"),
}
# keys of the group file that a flag overrides
_SETTINGS = {
    "shards": "into how many shards each language is spread",
    "valid_size": "pairs of each language for validation",
    "binarizer": f"{' or '.join(BINARIZERS)}, which writes the same bytes faster, without text in between",
}
_MORE_EXAMPLES = {
    "romanize": """
  ppa-preprocess romanize --input tur.txt --output tur.latn.txt --lang tur
  (a line on which the romanizer fails is empty in OUTPUT and recorded in OUTPUT.dropped.jsonl)""",
    "verify": """
  ppa-preprocess verify --output work/ --plan --passes 2 --batch 512 --arch glot500_base --pairs 256
  (updates, the flags to pass to fairseq-train, disk, and the batch size that fits the memory of a GPU)""",
    "sample": """
  ppa-preprocess sample --config group.yaml --input hf:cis-lmu/Glot500 --dry-run
  (reads every line and prints what each language has and would give; writes nothing)""",
}


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-preprocess` and exit: 0 done, 1 failed, 2 bad usage or bad input."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> int:
    try:
        _run(_parser().parse_args(argv))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(
            f"error: {where}{error.strerror or error}; nothing that is finished is lost: once this is mended, run the "
            "same command again\n"
        )
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    if getattr(args, "scheduler", None):
        # the workers of a cluster have working directories of their own
        args.output, args.spm = (path and path.absolute() for path in (args.output, args.spm))
    if args.step == "romanize" and args.config is None:
        _romanize_one_file(args)
        return
    dry = args.step == "sample" and args.dry_run
    for name in _NEEDS[args.step]:
        if getattr(args, name) is None and not (dry and name == "output"):
            raise UserError(f"ppa-preprocess {args.step} needs --{name}: {_PATHS[name][0]}")
    if dry:
        group = load_group(args.config)
        dry_run.run(group, find_sources(group.source_codes, args.input), args.text_column, say)
        return
    workspace = Workspace(args.output, say=say)
    if args.step == "verify":
        _verify(args, workspace)
        return
    # what the flags say in place of the group file
    given = {name: value for name in _SETTINGS if (value := getattr(args, name)) is not None}
    group = dataclasses.replace(load_group(args.config), **given)
    if getattr(args, "lang", None):
        raise UserError("--lang is for a single file; with --config the group file names the codes")
    if getattr(args, "romanizer", None):
        raise UserError("--romanizer is for a single file; with --config the group file names the romanizers")
    if getattr(args, "normalize_punctuation", False):
        group = group.with_normalized_punctuation()
    sources = _check_before_writing(group, args)
    with _workers(args) as workers, workspace.locked():
        _run_steps(group, sources, args, workspace, workers)


def _workers(args: argparse.Namespace) -> AbstractContextManager[Workers]:
    """Who computes the chunks: --workers processes, or those of --scheduler."""
    scheduler = getattr(args, "scheduler", None)
    return nullcontext(args.workers) if scheduler is None else connect(scheduler, say)


def _run_steps(
    group: Group, sources: dict[str, list[Source]], args: argparse.Namespace, workspace: Workspace, workers: Workers
) -> None:
    wanted = ("sample", "romanize", "encode", "binarize", "verify") if args.step == "all" else (args.step,)
    steps = {
        "sample": lambda: sample.run(group, sources, args.text_column, workspace),
        "romanize": lambda: romanize.run(group, workspace, workers, _cache_file(args)),
        "encode": lambda: encode.run(group, args.spm, workspace, workers),
        "binarize": lambda: binarize.run(group, args.spm, workspace, workers),
        "verify": lambda: verify.run(workspace),
    }
    for step in wanted:
        steps[step]()


def _verify(args: argparse.Namespace, workspace: Workspace) -> None:
    """Verify and, with --plan, print the plan; bad flags are found before the checksums."""
    given = {name: getattr(args, name) for name in Training._fields if getattr(args, name) is not None}
    if given and not args.plan:
        raise UserError(f"--{next(iter(given))} says how to train and is for --plan; add --plan")
    if not args.plan:
        verify.run(workspace, args.sample)
        return
    from ppa_plugin.training import plan_report  # takes fairseq, for which no other step has to wait from the start

    training = Training(**given)
    plan_report.check(training)
    manifest = verify.run(workspace, args.sample)
    paths = [workspace.data_bin / f"shard{number:02d}" for number in range(manifest["group"]["shards"])]
    for line in plan_report.run(paths, workspace.dictionary, training):
        workspace.say(line)


def _check_before_writing(group: Group, args: argparse.Namespace) -> dict[str, list[Source]]:
    """Find the sources, where a step reads them, and what else would be in the way, before the first step writes."""
    sources = find_sources(group.source_codes, args.input) if "input" in _NEEDS[args.step] else {}
    if args.step in ("all", "sample", "encode"):
        load_matcher(group.filters.exclude)
    if "spm" in _NEEDS[args.step]:
        dictionary_entries(args.spm)
        if is_tokenizer_json(args.spm) and group.binarizer != "direct":
            raise UserError(
                f"--spm {args.spm}: fairseq-preprocess knows the specials of SentencePiece's dictionaries alone; add "
                "--binarizer direct"
            )
        if is_tokenizer_json(args.spm) and group.alignment:
            raise UserError(
                f"--spm {args.spm} is a tokenizer.json, and the group says alignment, which needs a SentencePiece model"
            )
    check_output(args.output)
    if args.output.is_file():
        raise UserError(f"--output {args.output} is a file, expected a directory")
    if args.step in ("all", "binarize"):
        binarize.check_path(args.output)
    return sources


def _romanize_one_file(args: argparse.Namespace) -> None:
    for name in ("input", "output"):
        if getattr(args, name) is None:
            raise UserError(f"ppa-preprocess romanize needs --{name}, a file, or --config for a group")
    if args.lang is not None:
        check_language_code(args.lang)
    if not args.input.is_file():
        raise UserError(f"{args.input} is not a file; to romanize the text of a group give --config")
    check_output(args.output)
    if args.output.is_dir() or (args.output.exists() and args.output.samefile(args.input)):
        raise UserError(f"--output {args.output} is a directory or the input itself; expected another file")
    settings = Romanization(args.romanizer or DEFAULT, args.lang, args.normalize_punctuation, _cache_file(args))
    find_romanizer(settings.name, "--romanizer")
    with _workers(args) as workers:
        records = romanize_file(args.input, args.output, [settings], workers, args.lang or args.input.stem)
    outcome = romanize.Outcome.of(records)
    for ending, lines in {"dropped": outcome.failed, "in_doubt": outcome.in_doubt}.items():
        record = args.output.with_name(f"{args.output.name}.{ending}.jsonl")
        if lines:
            write_json_lines(record, lines)
        else:
            record.unlink(missing_ok=True)
    say(f"romanize  {args.input} -> {args.output}, {outcome}")


def _cache_file(args: argparse.Namespace) -> Path | None:
    return args.cache / FILE_NAME if args.cache else None


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "ppa-preprocess", description=__doc__, epilog=_example("all"), formatter_class=layout
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for step, help_text in _STEPS.items():
        epilog = _example(step) + _MORE_EXAMPLES.get(step, "")
        sub = steps.add_parser(step, help=help_text, description=help_text, epilog=epilog, formatter_class=layout)
        for name, (meaning, _) in _PATHS.items():
            sub.add_argument(f"--{name}", type=Path, help=meaning)
        _add_workers(sub, step)
        if "input" in _NEEDS[step]:
            sub.add_argument(
                "--text-column",
                default="text",
                metavar="NAME",
                help="the column or key of the text in Parquet, Arrow and JSON lines (default: %(default)s)",
            )
        if step == "sample":
            sub.add_argument(
                "--dry-run", action="store_true", help="print what each language would give, write nothing"
            )
        _add_settings(sub)
        if step in ("all", "romanize"):
            _add_romanizer_flags(sub)
        if step == "romanize":
            sub.add_argument("--lang", metavar="ISO639-3", help="language code for uroman (a single file only)")
            sub.add_argument(
                "--romanizer",
                metavar="NAME",
                help=f"{', '.join((*ROMANIZERS, *PACKAGED))}, or package.module:Class of your own (a single file only; "
                f"default: {DEFAULT})",
            )
        if step == "verify":
            sub.add_argument(
                "--sample",
                type=natural,
                default=verify.SAMPLE,
                help="pairs of each language to compare with their lines of pairs/ (default: %(default)s; 0: none)",
            )
            _add_plan_flags(sub)
    return parser


def _add_workers(parser: argparse.ArgumentParser, step: str) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--workers", type=workers, default=default_workers(), help="processes (default: all cores)")
    if step in _ON_A_CLUSTER:
        either.add_argument(
            "--scheduler",
            metavar="tcp://HOST:PORT",
            help="the scheduler of a Dask cluster whose workers do the work in place of processes of this machine; "
            "they have to see --output and --spm under the same paths",
        )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    defaults = {f.name: f.default for f in dataclasses.fields(Group)}
    for name, meaning in _SETTINGS.items():
        default = defaults[name]
        flag, kind = f"--{name.replace('_', '-')}", NUMBERS.get(name, str)
        parser.add_argument(flag, type=kind, help=f"{meaning} (default: that of the group file, else {default})")


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
    defaults = Training()
    parser.add_argument("--plan", action="store_true", help="print what a training on these shards will take")
    for name, meaning in {
        "passes": "how often each pair is seen",
        "batch": "pairs an update, over all GPUs",
        "pairs": "the most pairs of a micro-batch of one GPU: fairseq-train's --batch-size",
    }.items():
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=positive, help=f"with --plan: {meaning} (default: {default})")
    parser.add_argument("--arch", help=f"with --plan: fairseq-train's --arch (default: {defaults.arch})")
    parser.add_argument(
        "--flags", metavar="TEXT", help="with --plan: fairseq-train's flags of task and criterion, as '--tlm-weight 0'"
    )


def _example(step: str) -> str:
    flags = " ".join(f"--{name} {_PATHS[name][1]}" for name in _NEEDS[step])
    return f"example:\n  ppa-preprocess {step} {flags}"
