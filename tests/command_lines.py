"""The project's commands, each with the parser that it really has: does it take this line?"""

import contextlib
import importlib
import io
import os
import re
import subprocess
from argparse import ArgumentParser, Namespace
from pathlib import Path
from unittest import mock

import pytest
from fairseq import options
from fairseq.dataclass.initialize import hydra_init
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.optim.adam import FairseqAdamConfig
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import PolynomialDecayLRScheduleConfig
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig
from ppa_preprocess import cli as preprocess
from torch.distributed.run import get_args_parser

from ppa_plugin.commandline import exit_on_user_error
from ppa_plugin.convert.cli import main as convert
from ppa_plugin.criterion import TranslitAlignmentCriterionConfig
from ppa_plugin.evaluation.cli import main as evaluate
from ppa_plugin.evaluation.report import main as report
from ppa_plugin.model.architectures import CONFIGURATIONS
from ppa_plugin.task import TranslitAlignmentConfig

ROOT = Path(__file__).parents[1]
PLUGIN = str(ROOT / "ppa_plugin")
_MAINS = {
    "ppa-preprocess": preprocess.main,
    "ppa-convert": convert,
    "ppa-evaluate": evaluate,
    "ppa-report": report,
}
COMMANDS = (*_MAINS, "torchrun", "ppa-user-dir", "fairseq-train", "fairseq-hydra-train", "make", "dask")
_SHIM = """\
#!/usr/bin/env bash
printf '%s\\0' "$(basename "$0")" "$@" >> "$RECORD"
printf '\\0' >> "$RECORD"
case $(basename "$0") in
    ppa-user-dir) echo "$PLUGIN" ;;
    srun) exec "$@" ;;
esac
"""


class _AtTheParser(Exception):
    """Ends a command where it would parse its arguments."""


def parser_of(name: str) -> ArgumentParser:
    """The parser of a command."""
    if name == "torchrun":
        return get_args_parser()

    def stop(parser, *arguments):
        raise _AtTheParser(parser)

    with mock.patch.object(ArgumentParser, "parse_args", stop), pytest.raises(_AtTheParser) as stopped:
        _MAINS[name]([])
    return stopped.value.args[0]


def parse(line: list[str]) -> Namespace | DictConfig | None:
    """Parse a command's arguments as the command does; `AssertionError` with its own words where it refuses them."""
    name, *arguments = line
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return _parse(name, arguments)
    except SystemExit as end:
        if end.code:
            raise AssertionError(f"{' '.join(line)}\n{said.getvalue()}") from None
        return None  # --help


def _parse(name: str, arguments: list[str]) -> Namespace | DictConfig | None:
    if name == "make":
        return _make(arguments)
    if name == "dask":
        _dask(arguments)
        return None
    if name == "ppa-user-dir":
        assert not arguments
        return None
    if name == "fairseq-train":
        return options.parse_args_and_arch(options.get_training_parser(), input_args=arguments)
    if name == "fairseq-hydra-train":
        return _compose(arguments)
    with exit_on_user_error():
        parsed = parser_of(name).parse_args(arguments)
    if name == "ppa-preprocess":
        _needs(parsed)
    return parsed


def _needs(parsed: Namespace) -> None:
    """What ppa-preprocess asks for after parsing."""
    given = {key for key, value in vars(parsed).items() if value is not None}
    one_file = parsed.step == "romanize" and parsed.config is None
    needed = {"input", "output"} if one_file else {*preprocess._NEEDS[parsed.step]}
    needed -= {"output"} if getattr(parsed, "dry_run", False) else set()
    assert needed <= given, f"ppa-preprocess {parsed.step} lacks {needed - given}"


def _compose(arguments: list[str]) -> DictConfig:
    flags = dict(zip(arguments[0:4:2], arguments[1:4:2], strict=True))
    assert flags.keys() == {"--config-dir", "--config-name"}
    hydra_init(flags["--config-name"])
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / flags["--config-dir"]), version_base="1.1"):
        return compose(flags["--config-name"], overrides=arguments[4:])


def _make(arguments: list[str]) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in arguments:
        variable, is_setting, _ = word.partition("=")
        pattern = rf"\$[({{]{variable}\b|\b{variable} \?=" if is_setting else rf"^{word}:"
        assert re.search(pattern, text, re.M), f"make knows no {word}"


def _dask(arguments: list[str]) -> None:
    command = importlib.import_module(f"distributed.cli.dask_{arguments[0]}").main
    known = {option for parameter in command.params for option in parameter.opts}
    given = {argument for argument in arguments if argument.startswith("--")}
    assert given <= known, f"dask {arguments[0]} has no {given - known}"


def flags_of(name: str, command: str | None = None) -> set[str]:
    """Every flag that a command takes: of one of its sub-commands, or of them all."""
    if name == "fairseq-train":
        parsers = _training_parsers()
    else:
        parser = parser_of(name)
        choices = next((action.choices for action in parser._actions if isinstance(action.choices, dict)), {})
        parsers = [choices[command]] if command in choices else [parser, *choices.values()]
    return {flag for parser in parsers for action in parser._actions for flag in action.option_strings}


def _training_parsers() -> list[ArgumentParser]:
    """fairseq's parser, and those of the parts that it adds only once they are chosen."""
    parsers = [options.get_training_parser()]
    for config in (
        TranslitAlignmentConfig,
        TranslitAlignmentCriterionConfig,
        *CONFIGURATIONS.values(),
        FairseqAdamConfig,
        PolynomialDecayLRScheduleConfig,
    ):
        parsers.append(ArgumentParser())
        gen_parser_from_dataclass(parsers[-1], config())
    return parsers


def record(directory: Path, script: Path, *arguments: str, names: tuple[str, ...] = (), **environment: str):
    """Run `script` with stand-ins for all commands and return what each was called with, and the script's output."""
    shims, calls = directory / "shims", directory / "calls"
    shims.mkdir(exist_ok=True)
    for name in (*COMMANDS, *names):
        (shims / name).write_text(_SHIM, encoding="utf-8")
        (shims / name).chmod(0o755)
    calls.write_bytes(b"")
    done = subprocess.run(
        ["bash", str(script), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        # none of the caller's variables, which the scripts would read
        env={"PATH": f"{shims}{os.pathsep}{os.environ['PATH']}", "RECORD": str(calls), "PLUGIN": PLUGIN} | environment,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\0") for line in calls.read_text(encoding="utf-8").split("\0\0")[:-1]]
    return lines, done.stdout
