"""One file of labelled text, read into sentences: classification tables, BIO and tab-separated tags, CoNLL-U."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError
from ppa_plugin.files import read_lines

UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT")
UPOS += ("SCONJ", "SYM", "VERB", "X")
OUTSIDE = "O"
_BIO = re.compile(r"O|[BIES]-\S+")
# What the columns of a classification table are called; without a heading they are id, label, text.
_LABEL_HEADINGS, _TEXT_HEADINGS = ("label", "category"), ("verse", "text")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_PREFIX = re.compile(r"[a-z]{2,3}(-[a-z]+)*(?=:)")
_WORD_ID, _NO_WORD_ID = re.compile(r"\d+"), re.compile(r"\d+[-.]\d+")
_CONLLU_COLUMNS = 10


@dataclass(frozen=True)
class Sentence:
    """A text and its class."""

    text: str
    label: str


@dataclass(frozen=True)
class TaggedSentence:
    """Words and the tag of each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass
class Labelled:
    """Sentences in the file's order. `lines` has, for each label, the number of the line that shows it first."""

    sentences: list[Sentence] | list[TaggedSentence] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)


def read_classes(path: Path) -> Labelled:
    """A table of id, label and text, separated by tabs, with or without a heading.

    A text in quotation marks, with those inside doubled, is read as the CSV that it is. Raises `UserError`, naming the
    line, where there are not three columns or a label or text is empty.
    """
    found, label_column, text_column = Labelled(), 1, 2
    for number, line in _lines(path):
        if not line.strip():
            continue
        columns = line.split("\t")
        if len(columns) != 3:
            raise UserError(f"{path}, line {number}: {len(columns)} columns; expected id, label and text between tabs")
        headings = [heading.strip().lower() for heading in columns]
        if not found.sentences and _column(headings, _LABEL_HEADINGS) and _column(headings, _TEXT_HEADINGS):
            label_column, text_column = _column(headings, _LABEL_HEADINGS), _column(headings, _TEXT_HEADINGS)
            continue
        label, text = columns[label_column].strip(), columns[text_column].strip()
        if _QUOTED.fullmatch(text):
            text = text[1:-1].replace('""', '"')
        if not label or not text:
            raise UserError(f"{path}, line {number}: its {'text' if label else 'label'} is empty")
        found.lines.setdefault(label, number)
        found.sentences.append(Sentence(text, label))
    return found


def read_tags(path: Path, task: str) -> Labelled:
    """Tagged words: CoNLL-U where the name ends so, else a word and its tag a line, an empty line between sentences.

    Raises `UserError`, naming the line, for a wrong number of columns or a tag that is none of the task's form.
    """
    rows = _conllu_rows(path) if path.suffix == ".conllu" else _column_rows(path)
    found, words, tags = Labelled(), [], []
    for number, word, tag in rows:
        if word is None:
            _close(found, words, tags)
            words, tags = [], []
            continue
        check_tag(tag, task, f"{path}, line {number}")
        found.lines.setdefault(tag, number)
        words.append(word)
        tags.append(tag)
    _close(found, words, tags)
    found.sentences = _without_prefix(found.sentences)
    return found


def check_tag(tag: str, task: str, where: str) -> None:
    """Raise `UserError`, beginning with `where`, for what is no BIO tag (NER) or no universal tag (POS)."""
    if task == "ner" and not _BIO.fullmatch(tag):
        raise UserError(f"{where}: {tag!r} is not a BIO tag such as O, B-PER or I-PER")
    if task == "pos" and tag not in UPOS:
        raise UserError(f"{where}: {tag!r} is not one of the {len(UPOS)} universal part-of-speech tags")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_lines(path), 1):
        yield number, line.removesuffix("\r")


def _column(headings: list[str], names: tuple[str, ...]) -> int | None:
    """Where one of `names` stands among the headings; the first column is never meant, it is the id."""
    return next((i for i, heading in enumerate(headings) if i and heading in names), None)


def _close(found: Labelled, words: list[str], tags: list[str]) -> None:
    if words:
        found.sentences.append(TaggedSentence(tuple(words), tuple(tags)))


def _column_rows(path: Path) -> Iterator[tuple[int, str | None, str | None]]:
    """Line number, word and tag; no word between sentences.

    The word is the first column and the tag the last (CoNLL-2003 has two more between them); in `.iob2` files, as
    Universal NER's, they are the second and the third, after the word's number, and lines with # are remarks.
    """
    numbered = path.suffix == ".iob2"
    width = None
    for number, line in _lines(path):
        if not line.strip() or line.startswith("-DOCSTART-"):
            yield number, None, None
            continue
        if numbered and line.startswith("#"):
            continue
        columns = line.split("\t") if "\t" in line else line.split(" ")
        width = width or len(columns)
        if len(columns) != width or width < (3 if numbered else 2):
            expected = f"{width}, as above" if len(columns) != width else "a word and its tag"
            raise UserError(f"{path}, line {number}: {len(columns)} columns; expected {expected}")
        yield (number, columns[1], columns[2]) if numbered else (number, columns[0], columns[-1].strip())


def _conllu_rows(path: Path) -> Iterator[tuple[int, str | None, str | None]]:
    """Line number, form and UPOS of the syntactic words: ranges (`1-2`) and empty nodes (`1.1`) are left out."""
    for number, line in _lines(path):
        if not line.strip():
            yield number, None, None
            continue
        if line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) != _CONLLU_COLUMNS:
            raise UserError(f"{path}, line {number}: {len(columns)} columns; CoNLL-U has {_CONLLU_COLUMNS}")
        if _NO_WORD_ID.fullmatch(columns[0]):
            continue
        if not _WORD_ID.fullmatch(columns[0]):
            raise UserError(f"{path}, line {number}: {columns[0]!r} is not a word's number")
        yield number, columns[1], columns[3]


def _without_prefix(sentences: list[TaggedSentence]) -> list[TaggedSentence]:
    """PAN-X writes `en:word`: the prefix goes where every word of the file has the same one, a language's code."""
    if not sentences:
        return sentences
    code = _PREFIX.match(sentences[0].words[0])
    if code is None or canonical(code[0]) is None:
        return sentences
    prefix = f"{code[0]}:"
    if not all(word.startswith(prefix) for sentence in sentences for word in sentence.words):
        return sentences
    return [TaggedSentence(tuple(w.removeprefix(prefix) for w in s.words), s.tags) for s in sentences]
