"""Which files of a language's directory are read: of a data set its training split, and nothing that is no file."""

import json
import os
import re
from pathlib import Path

from ppa_preprocess.text.source_formats import KNOWN_FORMATS, endings, file_format

from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.files import decode_text, kind_of_no_file, reading

_TRAINING = {"train", "training", "trainset"}
_HELD_OUT = {"test", "testing", "testset", "devtest", "newstest", "dev", "devset", "devel", "development", "newsdev"}
_HELD_OUT |= {"valid", "validation", "val", "valset", "eval", "evaluation"}
_NAMES_SHOWN = 3


def entries(directory: Path) -> list[Path]:
    """What is in a directory, by name; `UserError` where it cannot be listed."""
    with reading(directory, "a directory"):
        return sorted(directory.iterdir())


def file_size(path: Path) -> int:
    """A file's size in bytes; `UserError` where there is none to read: a link to nothing, a pipe, a device."""
    try:
        status = path.stat()
    except OSError as error:
        what = f"the link {path} -> {os.readlink(path)}" if path.is_symlink() else path
        raise UserError(f"cannot read {what}: {error.strerror}") from None
    if kind := kind_of_no_file(status.st_mode):
        raise UserError(f"{path} is {kind.partition(',')[0]}, expected a file")
    return status.st_size


def files_of(directory: Path) -> tuple[Path, ...]:
    """The files of a language's directory, by name; those of `datasets.save_to_disk` as its state.json lists them.

    Where there is a directory `train`, as Glot500 lays its languages out, that is read; where names of files mean
    splits, those for training alone are, and a note names the others. Names that begin with `.` or `_` are passed
    over, as Spark and Arrow do. Raises `UserError` where there is something else than files of known formats, and where
    there are splits but none for training.
    """
    # os.path: where a directory may not be looked into, it is for `entries` to say so
    if os.path.isfile(directory / "state.json"):
        return _saved_dataset(directory)
    if os.path.isdir(directory / "train"):
        return files_of(directory / "train")
    there = [path for path in entries(directory) if not path.name.startswith((".", "_"))]
    directories = [path for path in there if os.path.isdir(path)]
    splits = [path.name for path in directories if _words(path.name) & (_HELD_OUT | _TRAINING)]
    if splits or os.path.isfile(directory / "dataset_dict.json"):
        splits = splits or [path.name for path in directories]
        raise UserError(
            f"{directory} holds the splits {', '.join(splits)} and no directory `train`, which alone would be read: "
            "rename the one that is meant for training"
        )
    for path in there:
        if path in directories or file_format(path) is None:
            what = "a directory" if path in directories else "of an unknown format"
            raise UserError(f"{path} is {what}; {directory} has to hold files only, of the formats {KNOWN_FORMATS}")
    return tuple(_for_training(directory, there))


def _for_training(directory: Path, files: list[Path]) -> list[Path]:
    """Of files some of which are named as test or validation data, those named as training data; else all."""
    code = _words(directory.name)  # `dev` and `val` are languages too
    words = {path: _words(path.name.removesuffix(endings(path))) - code for path in files}
    held_out = [path for path in files if words[path] & _HELD_OUT]
    if not held_out:
        return files
    training = [path for path in files if words[path] & _TRAINING and path not in held_out]
    if not training:
        raise UserError(
            f"{held_out[0]} is named as test or validation data, and no file of {directory} as training data: name the "
            "text to train on train.*, or take the others out, or rename them"
        )
    others = [path.name for path in files if path not in training]
    note_once(f"{directory}: {_shown([path.name for path in training])} is read, {_shown(others)} is not trained on")
    return training


def _words(name: str) -> set[str]:
    return set(re.findall("[a-z]+", name.lower()))


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _saved_dataset(directory: Path) -> tuple[Path, ...]:
    state = directory / "state.json"
    try:
        content = json.loads(decode_text(state.read_bytes(), state))
        files = tuple(directory / entry["filename"] for entry in content["_data_files"])
        # written by releases of 2020: the rows are those of the files in another order
        if content.get("_indices_data_files"):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{state} is not what datasets.save_to_disk writes today; save the data set again") from None
    for path in files:
        if not os.path.isfile(path):
            raise UserError(f"{path} is missing, {state} lists it")
    return files
