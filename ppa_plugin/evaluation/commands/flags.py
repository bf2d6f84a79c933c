"""The flags that several commands of `ppa-evaluate` share, and how their values are read."""

import argparse
import os

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, natural, positive, shown
from ppa_plugin.evaluation.encoder.batches import POOLS
from ppa_plugin.evaluation.tasks import INPUTS, of_kind
from ppa_plugin.files import check_output


def add_model_flags(parser: argparse.ArgumentParser, device: bool = True) -> None:
    """--model, --name and, where the model computes something, --device."""
    parser.add_argument("--model", required=True, metavar="HF_DIR", help="a Hugging Face directory or hub name")
    parser.add_argument("--name", help="what tables call the model (default: the directory's base name)")
    if device:
        parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")


def add_data_flags(parser: argparse.ArgumentParser, kind: str, source_help: str, target_help: str) -> None:
    """--data, --task (those of a kind), --sources, --targets."""
    parser.add_argument("--data", required=True, metavar="DIR", help="the directory with the task's files")
    parser.add_argument("--task", required=True, choices=of_kind(kind), help="which files in it")
    parser.add_argument("--sources", required=True, metavar="L,...", type=languages, help=source_help)
    parser.add_argument("--targets", metavar="L,...", type=languages, help=target_help)
    words = "text as it is (%(default)s), or all of it romanized, as people type it without a keyboard of its script"
    parser.add_argument("--input", choices=INPUTS, default=INPUTS[0], help=words)
    add_romanizer_flag(parser, "with --input latn")


def add_romanizer_flag(parser: argparse.ArgumentParser, where: str) -> None:
    """--romanizer; `where` says for which text."""
    words = (
        f"what romanizes, {where}: NAME for all languages, LANG=NAME for one, several between commas, by the names of "
        "group files; or the manifest.json of shards, or their directory: what these were made with (default: uroman)"
    )
    parser.add_argument("--romanizer", metavar="NAME|LANG=NAME,...|DIR", help=words)


def add_languages_flag(parser: argparse.ArgumentParser) -> None:
    """--languages, of the commands that explain figures."""
    words = "which of them (default: every language found)"
    parser.add_argument("--languages", metavar="L,...", type=languages, help=words)


def add_pool_flag(parser: argparse.ArgumentParser) -> None:
    """--pool."""
    words = "mean over all tokens with <s> and </s> (as the paper evaluates; default) or without those two"
    parser.add_argument("--pool", choices=POOLS, default=POOLS[0], help=words)


def add_most_flag(parser: argparse.ArgumentParser, name: str, default: int, what: str) -> None:
    """A flag for at most so many of `what`, as --batch-size."""
    parser.add_argument(name, metavar="N", type=positive, default=default, help=f"at most N {what} (%(default)s)")


def add_output_flag(parser: argparse.ArgumentParser, metavar: str = "results.jsonl", what: str = "results") -> None:
    """--output: where the `what` of a command go."""
    words = f"file to append the {what} to"
    parser.add_argument("--output", required=True, metavar=metavar, type=output_file, help=words)


def output_file(text: str) -> str:
    """A file that can be appended to. Raises `UserError` where it cannot: before the work, not after it."""
    check_output(text)
    if os.path.isdir(text):
        raise UserError(f"cannot write {text}: it is a directory; name a file in it")
    return text


def languages(text: str) -> list[str]:
    """`fas_Arab,tur_Latn` -> Glot500's codes. Raises `UserError` for one that is none or stands twice."""
    codes = [code.strip() for code in text.split(",") if code.strip()]
    unknown = [code for code in codes if canonical(code) is None]
    if unknown or not codes:
        raise UserError(f"{unknown[0] if unknown else text!r} is not a language code such as fas_Arab or eng_Latn")
    languages = [canonical(code) for code in codes]
    twice = next((language for language in languages if languages.count(language) > 1), None)
    if twice:
        raise UserError(f"{twice} is named twice in {text}")
    return languages


def layers(text: str) -> list[int] | str:
    """`8`, `0,4,8` or `all`: the layers named, each once, or "all"."""
    parts = [part.strip() for part in text.split(",")]
    if parts == ["all"]:
        return "all"
    try:
        return list(dict.fromkeys(map(natural, parts)))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is neither a layer, nor layers such as 0,4,8, nor all"
        ) from None


def device_or_default(name: str | None) -> str:
    """The device asked for, else CUDA where there is one."""
    import torch  # not for --help

    return name or ("cuda" if torch.cuda.is_available() else "cpu")
