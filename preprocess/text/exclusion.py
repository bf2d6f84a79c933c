"""Evaluation data that a group leaves out of its corpus: `filters.exclude` of the group file."""

import functools
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.files import sha256
from ppa_plugin.leakage.evaluation_files import evaluation_files
from ppa_plugin.leakage.matcher import Matcher
from ppa_plugin.yaml_file import place_of


class Excluded(NamedTuple):
    """A file or directory of evaluation data: as the group file names it, where it is, and the digest of its files."""

    name: str
    path: Path
    sha256: str


def find_excluded(names: Any, folder: Path) -> tuple[Excluded, ...]:
    """What `filters.exclude` names, relative to the group file's `folder`; reads every file once.

    Raises `UserError` for another value than a list of different names, and where one leads to no evaluation data.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(
            f"filters.exclude is {quoted(names)}, expected a list of files and directories such as [eval/bible]"
        )
    if len(set(names)) < len(names):
        raise UserError(f"filters.exclude names one file or directory twice: {', '.join(names)}")
    found = []
    for name in names:
        # whole: workers of a cluster have working directories of their own
        path = Path(os.path.abspath(place_of(name, folder)))
        try:
            found.append(Excluded(name, path, _digest(path)))
        except UserError as error:
            raise UserError(f"filters.exclude: {error}") from None
    return tuple(found)


@functools.lru_cache(maxsize=1)
def load_matcher(exclude: tuple[Excluded, ...]) -> Matcher:
    """The lines of all this data, owned by the number of the first that has them; made once, forked processes inherit.

    Raises `UserError` where a file holds no sentences that can be read, and where it is not what the run began with.
    """
    matcher = Matcher()
    for number, data in enumerate(exclude):
        if _digest(data.path) != data.sha256:
            raise UserError(f"{data.path} on {platform.node()} is other evaluation data than the run began with")
        keys = [matcher.add(line, number) for file in evaluation_files(data.path) for line in file.sentences()]
        if not any(keys):
            raise UserError(f"filters.exclude: {data.path} holds no line with a letter or digit")
    return matcher


def excluded_settings(exclude: Sequence[Excluded]) -> dict[str, Any]:
    """What depends on this data, as an entry of a task's inputs; none where no data is excluded."""
    return {"excluded": {data.name: data.sha256 for data in exclude}} if exclude else {}


def _digest(path: Path) -> str:
    return sha256(*(file.path for file in evaluation_files(path)))
