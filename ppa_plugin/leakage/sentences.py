"""The sentences of one evaluation file: a sentence a line, tables with a column of text, words with tags, CoNLL-U."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from ppa_plugin.codes import WIKIPEDIA_PREFIX
from ppa_plugin.commandline import UserError
from ppa_plugin.files import read_lines

_TEXT_HEADINGS = ("text", "verse", "sentence")
_TAG = re.compile(r"O|[BIES]-\S+|ADJ|ADP|ADV|AUX|CCONJ|DET|INTJ|NOUN|NUM|PART|PRON|PROPN|PUNCT|SCONJ|SYM|VERB|X|_")
_TAGGED = (".tsv", ".conll", ".bio", ".iob", ".iob2", ".txt", "")  # endings of what may be tagged words
_COLUMNS_OF_A_TABLE = 3  # id, label, text
_LINES_LOOKED_AT = 200
_WORD_ID, _RANGE = re.compile(r"\d{1,9}"), re.compile(r"(\d{1,9})-(\d{1,9})")


def sentences_of(path: Path) -> Iterator[str]:
    """Yield the sentences of a file, words that stand a line each joined by spaces.

    What a file holds is told by its ending and, but for CoNLL-U, its first lines. Raises `UserError` where it cannot be
    read, is not UTF-8, or is a table without a column that is known to be the text.
    """
    lines = [line.removesuffix("\r") for line in read_lines(path)]
    if path.suffix == ".conllu":
        yield from map(_conllu_sentence, _blocks(lines))
    elif path.suffix in _TAGGED and _is_tagged(lines):
        yield from _tagged_sentences(lines, numbered=path.suffix == ".iob2")
    elif path.suffix == ".tsv" and any("\t" in line for line in lines):
        yield from _column(lines, path)
    else:
        yield from lines


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Lines between blank ones."""
    return (list(block) for there, block in groupby(lines, key=lambda line: bool(line.strip())) if there)


def _conllu_sentence(block: list[str]) -> str:
    """The text as its remark has it, else its words, of a range the word that is written."""
    words, last = [], 0
    for line in block:
        if line.startswith("# text ="):
            return line.partition("=")[2].strip()
        number, _, rest = line.partition("\t")
        form = rest.partition("\t")[0]
        if within := _RANGE.fullmatch(number):
            words.append(form)
            last = int(within[2])
        elif _WORD_ID.fullmatch(number) and int(number) > last:
            words.append(form)
    return " ".join(words)


def _is_tagged(lines: list[str]) -> bool:
    """Whether most of the first lines end in a column that is a tag."""
    there = [line for line in lines[:_LINES_LOOKED_AT] if line.strip()]
    columns = [line.split("\t" if "\t" in line else " ") for line in there]
    return sum(len(row) > 1 and _TAG.fullmatch(row[-1].strip()) is not None for row in columns) * 2 > len(there)


def _tagged_sentences(lines: list[str], numbered: bool) -> Iterator[str]:
    """The words of each sentence, without the prefix of their Wikipedia where most of a file's have it."""
    sentences = []
    for block in _blocks(lines):
        rows = [line.split("\t" if "\t" in line else " ") for line in block if not line.startswith("-DOCSTART-")]
        if numbered:
            rows = [row for row in rows if not row[0].startswith("#")]
        if rows:
            sentences.append([row[numbered] if len(row) > numbered else "" for row in rows])
    words = [word for sentence in sentences for word in sentence]
    prefixed = sum(WIKIPEDIA_PREFIX.match(word) is not None for word in words)
    cut = prefixed * 2 > len(words)
    for sentence in sentences:
        yield " ".join(WIKIPEDIA_PREFIX.sub("", word, count=1) if cut else word for word in sentence)


def _column(lines: list[str], path: Path) -> Iterator[str]:
    """The column of a table that its heading says is the text, without a heading the third."""
    rows = [line.split("\t") for line in lines if line.strip()]
    headings = [heading.strip().lower() for heading in rows[0]]
    named = next((headings.index(name) for name in _TEXT_HEADINGS if name in headings), None)
    if named is None and any(len(row) != _COLUMNS_OF_A_TABLE for row in rows):
        raise UserError(
            f"{path} is a table whose column of text is not known: no heading is {' or '.join(_TEXT_HEADINGS)}, and "
            "not every row is id, label and text; make it a file of a sentence a line"
        )
    for row in rows if named is None else rows[1:]:
        text = row[_COLUMNS_OF_A_TABLE - 1 if named is None else named].strip() if len(row) > (named or 0) else ""
        quoted = len(text) > 1 and text[0] == text[-1] == '"'
        yield text[1:-1].replace('""', '"') if quoted else text
