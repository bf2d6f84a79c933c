"""Where a group's languages are read from: files below `--input`, or the configurations of a hub dataset."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ppa_preprocess.text.hub import PREFIX, Configuration, Hub
from ppa_preprocess.text.language_directory import entries, file_size, files_of
from ppa_preprocess.text.source_formats import KNOWN_FORMATS, Findings, endings, file_format, read_file

from ppa_plugin.codes import same_language
from ppa_plugin.commandline import UserError


@dataclass(frozen=True)
class Files:
    """Files below the directory `root`, read one after the other."""

    root: Path
    name: str  # for the user and the manifest
    paths: tuple[Path, ...]

    def read(self, column: str, found: Findings) -> Iterator[str]:
        """Yield the lines, and note in `found` what they were read from."""
        for path in self.paths:
            yield from read_file(path, self._name_of(path), column, found)

    def fingerprints(self, digest: Callable[[Path], str]) -> list[list[str]]:
        """What `read` notes as `found.files`, without reading the lines."""
        return [[self._name_of(path), digest(path)] for path in self.paths]

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


class Directory:
    """A directory with a file or a directory for each language code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise UserError(
                f"--input {root} is not a directory; expected one with a file or directory for each language"
            )
        self._by_code: dict[str, list[Path]] = {}
        for path in entries(root):
            code = path.name if os.path.isdir(path) else _code_of_file(path)
            if code:
                self._by_code.setdefault(code, []).append(path)
        self.codes = sorted(self._by_code)  # under which there is something

    def find(self, code: str) -> Files | None:
        """The source under exactly this code."""
        paths = self._by_code.get(code, [])
        if not paths:
            return None
        if len(paths) > 1:
            raise UserError(
                f"{paths[0]} and {paths[1]} are both there for {code}; keep one, or make it one directory of both"
            )
        path = paths[0]
        files = files_of(path) if os.path.isdir(path) else (path,)
        if not sum(map(file_size, files)):
            raise UserError(f"{path} is empty")
        where = files[0].parent if os.path.isdir(path) else path  # of a data set's splits, the one that is read
        return Files(self.root, where.relative_to(self.root).as_posix(), files)

    def missing(self, code: str) -> str:
        """What to tell the user where there is none."""
        exact = self.root / code
        if os.path.lexists(exact):  # as a directory, or with a known ending, it would have been found
            file_size(exact)
            return f"{exact} has no ending that says what it holds; name it {code}.txt, or as it is: {KNOWN_FORMATS}"
        near = [path for path in entries(self.root) if path.name.lower().startswith(f"{code.lower()}.")]
        for path in near:
            if os.path.isdir(path):
                return f"{path} is a directory, whose name has to be {code} alone to be found"
            if file_format(path) is None:
                return f"{path} is of an unknown format; known are {KNOWN_FORMATS}"
        if near:
            return f"{near[0]} is for the code {_code_of_file(near[0])}; name it {code}{endings(near[0])} to be found"
        return f"{self.root / code}.txt is missing, and so is every other file or directory of that name"


Source = Files | Configuration  # the lines that `--input` has under one language code


def find_sources(codes: Mapping[str, list[str]], given: Path) -> dict[str, list[Source]]:
    """The sources of every language of a group, under its codes, in the order in which they are read.

    A code that is not there is looked for under the other names of its language (`codes.same_language`). Raises
    `UserError` where a language has no source or more than one comes into question, and where two languages share one.
    """
    place = Hub(str(given).removeprefix(PREFIX)) if str(given).startswith(PREFIX) else Directory(given)
    sources: dict[str, list[Source]] = {}
    taken_by: dict[str, str] = {}
    for lang, wanted in codes.items():
        sources[lang] = [_find(place, code, lang) for code in wanted]
        for source in sources[lang]:
            if other := taken_by.get(source.name):
                whom = f"{other} and {lang}" if other != lang else f"two of the codes of {lang}"
                raise UserError(f"--input {given}: {source.name} would be taken for {whom}; name each one's `sources`")
            taken_by[source.name] = lang
    return sources


def _find(place: Directory | Hub, code: str, lang: str) -> Source:
    source = place.find(code)
    if source is not None:
        return source
    others = [other for other in place.codes if same_language(code, other)]
    if len(others) > 1:
        raise UserError(
            f"{place.missing(code)}; {' and '.join(others)} may stand for it: choose in the group file, as in "
            f"'{lang}: {{sources: [{', '.join(others)}]}}'"
        )
    source = place.find(others[0]) if others else None
    if source is None:
        raise UserError(f"{place.missing(code)}: the group lists {lang}, and --input has to hold its text")
    return source


def _code_of_file(path: Path) -> str | None:
    return None if file_format(path) is None else path.name.removesuffix(endings(path))
