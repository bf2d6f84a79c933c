"""The flags that several commands of `ppa-evaluate` share, and how their values are read."""

import argparse
import os

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, natural, shown
from ppa_plugin.evaluation.tasks import of_kind
from ppa_plugin.files import check_output


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """--model, --name, --device."""
    add_named_model_flags(parser)
    parser.add_argument("--device", default=None, help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")


def add_named_model_flags(parser: argparse.ArgumentParser) -> None:
    """--model, --name."""
    parser.add_argument("--model", required=True, metavar="HF_DIR", help="a Hugging Face directory or hub name")
    parser.add_argument("--name", help="what tables call the model (default: the directory's base name)")


def add_data_flags(parser: argparse.ArgumentParser, kind: str, source_help: str, target_help: str) -> None:
    """--data, --task (those of a kind), --sources, --targets."""
    parser.add_argument("--data", required=True, metavar="DIR", help="the directory with the task's files")
    parser.add_argument("--task", required=True, choices=of_kind(kind), help="which files in it")
    parser.add_argument("--sources", required=True, metavar="L,...", type=languages, help=source_help)
    parser.add_argument("--targets", metavar="L,...", type=languages, help=target_help)


def add_output_flag(parser: argparse.ArgumentParser) -> None:
    """--output."""
    parser.add_argument(
        "--output", required=True, metavar="results.jsonl", type=output_file, help="file to append the results to"
    )


def add_analysis_flag(parser: argparse.ArgumentParser) -> None:
    """--output, of the commands that explain figures."""
    parser.add_argument(
        "--output", required=True, metavar="analysis.jsonl", type=output_file, help="file to append the records to"
    )


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
