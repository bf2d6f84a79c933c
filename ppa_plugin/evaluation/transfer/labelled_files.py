"""One file of labelled text, read into sentences: classification tables, BIO and tab-separated tags, CoNLL-U."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from ppa_plugin.codes import WIKIPEDIA_PREFIX
from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.evaluation import typed_text
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.files import read_lines
from ppa_plugin.romanization.by_part import Romanization

OUTSIDE = "O"
_BIO = re.compile(r"O|[BIES]-\S+")
# What the columns of a classification table are called; without a heading they are id, label, text.
_LABEL_HEADINGS, _TEXT_HEADINGS = ("label", "category"), ("verse", "text")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_CUT_FROM, _DOUBTFUL_FROM, _CERTAIN_FROM = 0.5, 0.1, 0.9  # share of a file's words that have the prefix
_NO_WORD = "_"  # what stands for a word where a treebank may not be published with its text
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
    """Sentences in the file's order. `places` says, for each label, where it stands first (`FILE, line N`).

    `without_words` counts the sentences that were left out because their words are not there.
    """

    sentences: list[Sentence] | list[TaggedSentence] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    without_words: int = 0

    def add_class(self, text: str, label: str, where: str) -> None:
        """Add a sentence and its class."""
        self.places.setdefault(label, where)
        self.sentences.append(Sentence(text, label))

    def add_tags(self, rows: list[tuple[str, str, str]], task: str) -> None:
        """Add the sentence of these places, words and tags, if there are any and they hold words."""
        if not rows:
            return
        places, words, tags = zip(*rows, strict=True)
        if not has_words(words, task):
            self.without_words += 1
            return
        for tag, where in zip(tags, places, strict=True):
            self.places.setdefault(tag, where)
        self.sentences.append(TaggedSentence(words, tags))


def romanized(
    sentences: Sequence[Sentence] | Sequence[TaggedSentence], where: str, settings: Romanization
) -> list[Sentence] | list[TaggedSentence]:
    """The sentences with their texts, or each of their words, romanized; a word stays one."""
    if all(isinstance(sentence, Sentence) for sentence in sentences):
        texts = typed_text.romanized([sentence.text for sentence in sentences], where, settings)
        return [replace(sentence, text=text) for sentence, text in zip(sentences, texts, strict=True)]
    words = [word for sentence in sentences for word in sentence.words]
    latn = (word.replace(" ", "") or "_" for word in typed_text.romanized(words, f"{where}, words", settings))
    return [replace(sentence, words=tuple(islice(latn, len(sentence.words)))) for sentence in sentences]


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
        found.add_class(text, label, f"{path}, line {number}")
    return found


def read_tags(path: Path, task: str) -> Labelled:
    """Tagged words: CoNLL-U where the name ends so, else a word and its tag a line, an empty line between sentences.

    WikiANN's prefixes are cut (`without_prefix`) and sentences without words left out (`has_words`). Raises
    `UserError`, naming the line, for a wrong number of columns or a tag that is none of the task's form.
    """
    found, rows = Labelled(), []
    for number, word, tag in _conllu_rows(path) if path.suffix == ".conllu" else _column_rows(path):
        if word is None:
            found.add_tags(rows, task)
            rows = []
            continue
        where = f"{path}, line {number}"
        check_tag(tag, task, where)
        rows.append((where, word, tag))
    found.add_tags(rows, task)
    if not TASKS[task].labels:
        found.sentences = without_prefix(found.sentences, path)
    return found


def has_words(words: Sequence[str], task: str) -> bool:
    """False of a treebank's sentence that was published without its text: `_` for every word.

    For UD's, also for every word but one, as Glot500's preparation has it; a lone `_` in a longer sentence is a word.
    """
    missing = sum(word == _NO_WORD for word in words)
    return missing < len(words) - (1 if TASKS[task].treebanks and missing else 0)


def say_without_words(where: str, left_out: int, kept: int) -> None:
    """Note how many sentences were left out for want of words. Raises `UserError` where none is left."""
    if left_out and not kept:
        raise UserError(
            f"{where}: every word is {_NO_WORD!r}, as in treebanks that may not be published with their text; put the "
            "words in with the treebank's own script, which its README names, or leave the treebank out"
        )
    if left_out:
        note_once(f"{where}: {left_out} sentences are left out, which have {_NO_WORD!r} for their words")


def as_published(sentences: Iterable[TaggedSentence]) -> list[TaggedSentence]:
    """POS as Glot500 prepared it: U+200C, inner spaces and outer white space are taken out of the words.

    A word of which nothing is left stays, as an empty one, with its tag.
    """
    return [
        TaggedSentence(tuple(w.strip().replace("\u200c", "").replace(" ", "") for w in s.words), s.tags)
        for s in sentences
    ]


def without_prefix(sentences: list[TaggedSentence], path: Path) -> list[TaggedSentence]:
    """WikiANN writes `en:word`, which Glot500's preparation cuts after the first colon; so is it here, file by file.

    A file is WikiANN's where more than half of all its words begin with one and the same prefix, the code of a
    Wikipedia and a colon; which codes are known does not matter. Each of these words then loses it, and those without
    it, `12:30` or `http://...` among them, stay as they are. In any other file no word is touched. A note says where
    the share is between a tenth and nine tenths.
    """
    words = [word for sentence in sentences for word in sentence.words]
    prefixes = Counter(match[0] for match in map(WIKIPEDIA_PREFIX.match, words) if match)
    prefix, count = prefixes.most_common(1)[0] if prefixes else ("", 0)
    cut = count > _CUT_FROM * len(words)
    if _DOUBTFUL_FROM * len(words) <= count < _CERTAIN_FROM * len(words) and count > 1:
        outcome = "taken for WikiANN's and cut" if cut else "no WikiANN file, so that they stay as they are"
        note_once(f"{path}: {count} of {len(words)} words begin with {prefix!r}: {outcome}")
    if not cut:
        return sentences
    return [TaggedSentence(tuple(_cut(w, prefix) for w in s.words), s.tags) for s in sentences]


def _cut(word: str, prefix: str) -> str:
    return word.removeprefix(prefix).strip() if word.startswith(prefix) else word


def check_tag(tag: str, task: str, where: str) -> None:
    """Raise `UserError`, beginning with `where`, for none of the task's tags, or no BIO tag where it has no set."""
    labels = TASKS[task].labels
    if labels and tag not in labels:
        raise UserError(f"{where}: {tag!r} is not one of the {len(labels)} tags of {task}: {', '.join(labels)}")
    if not labels and not _BIO.fullmatch(tag):
        raise UserError(f"{where}: {tag!r} is not a BIO tag such as O, B-PER or I-PER")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_lines(path), 1):
        yield number, line.removesuffix("\r")


def _column(headings: list[str], names: tuple[str, ...]) -> int | None:
    """Where one of `names` stands among the headings; the first column is never meant, it is the id."""
    return next((i for i, heading in enumerate(headings) if i and heading in names), None)


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
