"""Files of lines: counting them, and JSON lines."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.files import read_lines, skip_mark, write_beside

_BLOCK_BYTES = 1 << 24
# valid in JSON, but str.splitlines() and some readers of JSON lines take them for line ends
_LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def count_lines(path: Path) -> int:
    """The number of lines, split at `\\n` only; a last line without `\\n` counts, a byte-order mark alone is no line.

    Raises `UserError` where the file cannot be read.
    """
    count, last = 0, b"\n"
    try:
        with open(path, "rb") as handle:
            skip_mark(handle)
            while block := handle.read(_BLOCK_BYTES):
                count += block.count(b"\n")
                last = block[-1:]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return count + (last != b"\n")


def write_json_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, readable in every script, no matter at what a reader splits lines."""
    with write_beside(path) as handle:
        for record in records:
            line = json.dumps(record, ensure_ascii=False)
            for character, escaped in _LINE_ENDS.items():
                line = line.replace(character, escaped)
            handle.write(line + "\n")


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what `write_json_lines` wrote; raises `UserError`, naming the line, where it is something else."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {number}: not a JSON object")
        yield record
