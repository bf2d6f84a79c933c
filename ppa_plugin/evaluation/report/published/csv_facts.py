"""CSV files of published facts: lines of comment, a line of columns, then a fact a line."""

import csv
from collections.abc import Callable, Mapping
from typing import TypeVar

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.files import read_lines

Fact = TypeVar("Fact", bound=tuple)
# The texts of a line by column -> its fact, whose last field is the value; a ValueError says what is wrong with them.
Parse = Callable[[dict[str, str]], Fact]


def read_facts(path: str, kinds: Mapping[tuple[str, ...], Parse]) -> list[Fact]:
    """The facts of a file, of the one kind whose columns it has, in any order; lines that start with # are comments.

    Raises `UserError`, naming file and line, for columns of no kind, a wrong number of fields, an empty one, what
    `Parse` refuses, and a fact given twice.
    """
    header, parse, found = None, None, {}
    for number, line in enumerate(read_lines(path), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
            if header is None:
                header, parse = cells, _kind_of(cells, kinds)
                continue
            fact = parse(_by_column(header, cells))
        except csv.Error:
            raise UserError(f"{path}, line {number}: not a line of CSV") from None
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        first, _ = found.setdefault(fact[:-1], (number, fact))
        if first != number:
            raise UserError(f"{path}, line {number}: the figure of line {first} again")
    if not found:
        raise UserError(f"{path} holds no published figures; its columns have to be {_names(kinds)}")
    return [fact for _, fact in found.values()]


def language(text: str, column: str, *also: str) -> str:
    """The canonical code of a language, or one of the words `also`. Raises `ValueError` for anything else."""
    if text in also:
        return text
    code = canonical(text)
    if code is None:
        raise ValueError(f"{column} {quoted(text)} is not a language code such as fas_Arab")
    return code


def _kind_of(header: list[str], kinds: Mapping[tuple[str, ...], Parse]) -> Parse:
    for columns, parse in kinds.items():
        if sorted(columns) == sorted(header):
            return parse
    raise ValueError(f"the columns have to be {_names(kinds)}")


def _names(kinds: Mapping[tuple[str, ...], Parse]) -> str:
    return " or ".join(",".join(columns) for columns in kinds)


def _by_column(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} fields, {len(header)} columns")
    given = dict(zip(header, cells, strict=True))
    empty = [name for name, text in given.items() if not text]
    if empty:
        raise ValueError(f"{empty[0]} is empty; leave out figures that are not known")
    return given
