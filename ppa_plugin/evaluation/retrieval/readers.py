"""The files of the evaluation sets, read into sentences."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path

from ppa_plugin.codes import ENGLISH, canonical, passed_over
from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.evaluation.typed_text import romanized
from ppa_plugin.files import decode_lines, read_bytes
from ppa_plugin.romanization.by_language import Romanizers


@dataclass(frozen=True)
class Side:
    """One language's sentences of a retrieval set, in the file's order. `sha256` is that of `content`, its bytes."""

    path: Path
    sentences: tuple[str, ...] = field(repr=False)
    sha256: str
    content: bytes = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: Path) -> "Side":
        """Read a file of one sentence a line. Raises `UserError` where it cannot be read, is empty or not UTF-8."""
        content = read_bytes(path)
        sentences = tuple(line.removesuffix("\r") for line in decode_lines(io.BytesIO(content), path))
        if not sentences:
            raise UserError(f"{path} is empty")
        return cls(path, sentences, hashlib.sha256(content).hexdigest(), content)


@dataclass(frozen=True)
class Pair:
    """Queries and candidates: line i of one translates line i of the other. `warning` is for the user, or empty."""

    source: str
    target: str
    queries: Side
    candidates: Side
    warning: str = ""

    @cached_property
    def data_sha256(self) -> str:
        """SHA-256 of the bytes of the queries' file followed by those of the candidates': `cat Q C | sha256sum`."""
        return hashlib.sha256(self.queries.content + self.candidates.content).hexdigest()


class RetrievalSet:
    """The bitexts with English of one task in one directory, under Glot500's file names or LASER's.

    Glot500: `bible.fas_Arab-eng_Latn.fas_Arab` and `bible.fas_Arab-eng_Latn.eng_Latn`; LASER: `tatoeba.cmn-eng.cmn` and
    `tatoeba.cmn-eng.eng`. Languages go by Glot500's codes (`codes.canonical`); files of names that are none are passed
    over, which a note on standard error says. With `romanizers` every sentence is romanized.
    """

    def __init__(self, directory: str | Path, task: str, romanizers: Romanizers | None = None):
        """Find the files. Raises `UserError` for none, two of one language, or a romanizer of a language without."""
        self.directory, self.task = Path(directory), task
        if not self.directory.is_dir():
            raise UserError(f"{directory} is not a directory")
        self._paths: dict[str, tuple[Path, Path]] = {}
        self._read = cache(partial(_read_side, romanizers))
        unknown: list[str] = []
        for path in sorted(self.directory.glob(f"{task}.*-eng*.*")):
            self._add(path, unknown)
        self._passed_over = passed_over(unknown)
        if not self._paths:
            because = f"; {self._passed_over}" if unknown else ""
            raise UserError(
                f"{directory} holds no {task} files ({task}.LANG-eng_Latn.LANG or {task}.xxx-eng.xxx){because}"
            )
        if unknown:
            note_once(f"{directory}: {self._passed_over}")
        if romanizers:
            romanizers.check_named(self.languages, self.directory)

    def _add(self, path: Path, unknown: list[str]) -> None:
        pair, _, code = path.name.removeprefix(f"{self.task}.").partition(".")
        first, _, second = pair.rpartition("-")
        language = canonical(first)
        if code != first or canonical(second) != ENGLISH:
            return
        if language is None:
            unknown.append(first)
            return
        if language in self._paths:
            raise UserError(f"{self._paths[language][0]} and {path} are both {language}; keep one of them")
        self._paths[language] = (path, path.with_name(f"{self.task}.{pair}.{second}"))

    @property
    def languages(self) -> list[str]:
        """Every language found, English included, sorted."""
        return sorted({*self._paths, ENGLISH})

    def targets(self, source: str) -> list[str]:
        """The languages that `source` can be ranked against in this task, itself left out."""
        if source != ENGLISH and not TASKS[self.task].parallel:
            return [ENGLISH]
        return [language for language in self.languages if language != source]

    def check_languages(self, languages: Iterable[str]) -> None:
        """Raise `UserError`, listing those found, for a language that this set does not have."""
        for language in languages:
            if language not in self.languages:
                raise UserError(f"{self.directory} has no {self.task} text in {language}; found: {self._listed()}")

    def pair(self, source: str, target: str) -> Pair:
        """The queries in `source` and the candidates in `target`.

        Two languages other than English are joined by line number through their files with English.
        Raises `UserError` where a file is missing, line counts differ, or the task's languages share no sentences.
        """
        self.check_languages((source, target))
        if target not in self.targets(source):
            raise UserError(f"{self.task} has no pair {source}, {target}: its languages are parallel to English only")
        if ENGLISH in (source, target):
            other, english = self._bitext(target if source == ENGLISH else source)
            sides = (english, other) if source == ENGLISH else (other, english)
            return Pair(source, target, *sides)
        queries, one = self._bitext(source)
        candidates, other = self._bitext(target)
        _check_lines(queries, candidates)
        differing = sum(a.split() != b.split() for a, b in zip(one.sentences, other.sentences, strict=True))
        warning = f"{one.path} and {other.path} differ in {differing} lines; joined by number" if differing else ""
        return Pair(source, target, queries, candidates, warning)

    def _bitext(self, language: str) -> tuple[Side, Side]:
        """A language's sentences and the English ones beside them."""
        paths = zip(self._paths[language], (language, ENGLISH), strict=True)
        other, english = (self._read(path, of) for path, of in paths)
        _check_lines(other, english)
        return other, english

    def _listed(self) -> str:
        return ", ".join(self.languages) + (f"; {self._passed_over}" if self._passed_over else "")


def _read_side(romanizers: Romanizers | None, path: Path, language: str) -> Side:
    side = Side.read(path)
    if romanizers is None:
        return side
    return replace(side, sentences=tuple(romanized(side.sentences, str(path), romanizers.of(language))))


def _check_lines(one: Side, other: Side) -> None:
    if len(one.sentences) != len(other.sentences):
        raise UserError(
            f"{one.path} has {len(one.sentences)} lines and {other.path} has {len(other.sentences)}; "
            "line i of one has to translate line i of the other"
        )
