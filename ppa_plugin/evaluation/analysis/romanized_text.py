"""Text with its romanization, language by language: pairs as `ppa-preprocess` writes them, or text romanized here."""

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from ppa_plugin.codes import canonical, passed_over
from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.files import lines_side_by_side, read_lines, without_left_overs
from ppa_plugin.romanization.by_language import Romanizers
from ppa_plugin.romanization.cache import FILE_NAME
from ppa_plugin.romanization.text_file import romanize_lines


class PairFiles:
    """A directory of `<lang>.orig` and `<lang>.latn`, line i of one the romanization of line i of the other."""

    def __init__(self, directory: str | Path) -> None:
        """Raises `UserError` where there is no such file."""
        self._files = by_language(Path(directory), ".orig", "pairs as ppa-preprocess romanize writes them")
        self.languages = sorted(self._files)

    def pairs(self, language: str, lines: int | None = None) -> Iterator[tuple[str, str]]:
        """Raises `UserError` where a file is missing or cannot be read, or one of the two is longer."""
        orig = self._files[language]
        latn = orig.with_suffix(".latn")
        if not latn.is_file():
            raise UserError(f"{latn} is missing; line i of it has to be the romanization of line i of {orig}")
        return itertools.islice(lines_side_by_side(orig, latn, "the romanization of"), lines)


class TextFiles:
    """A directory of `<lang>.txt`, one sentence a line, which `romanizers` romanize.

    `cache` is the folder of a romanizer cache, None for memory alone. Lines on which the romanizer fails are left out
    and counted in a note.
    """

    def __init__(self, directory: str | Path, workers: int, cache: str | Path | None, romanizers: Romanizers) -> None:
        """Raises `UserError` where there is no such file, or none of a language that a romanizer is named for."""
        self._files = by_language(Path(directory), ".txt", "text of one sentence a line")
        self._romanizers = romanizers
        self._cache = Path(cache) / FILE_NAME if cache else None
        self._workers = workers
        self.languages = sorted(self._files)
        self._romanizers.check_named(self.languages, directory)

    def pairs(self, language: str, lines: int | None = None) -> Iterator[tuple[str, str]]:
        """Raises `UserError` where the file cannot be read."""
        path = self._files[language]
        failed = 0
        chosen = itertools.islice(read_lines(path), lines)
        settings = dataclasses.replace(self._romanizers.of(language), cache=self._cache)
        for line, latn, reason in romanize_lines(chosen, settings, self._workers):
            if reason and not latn:
                failed += 1
            else:
                yield line, latn
        if failed:
            sys.stderr.write(f"note: {path}: the romanizer failed on {failed} lines; they are left out on both sides\n")


def by_language(directory: Path, suffix: str, what: str) -> dict[str, Path]:
    """The files of a directory whose name is a language code and `suffix`, by Glot500's code; a note names others."""
    if not directory.is_dir():
        raise UserError(f"{directory} is not a directory")
    files: dict[str, Path] = {}
    unknown = []
    for path in without_left_overs(sorted(directory.glob(f"*{suffix}"))):
        language = canonical(path.name.removesuffix(suffix))
        if not path.is_file():
            continue
        if language is None:
            unknown.append(path.name.removesuffix(suffix))
            continue
        if language in files:
            raise UserError(f"{files[language]} and {path} are both {language}; keep one of them")
        files[language] = path
    if not files:
        because = f"; {passed_over(unknown)}" if unknown else ""
        raise UserError(f"{directory} holds no file <lang>{suffix}, such as tur_Latn{suffix} ({what}){because}")
    if unknown:
        note_once(f"{directory}: {passed_over(unknown)}")
    return files
