"""Reading a YAML file of settings, so that a mistyped key or value is one sentence."""

import dataclasses
import difflib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from ppa_plugin.commandline import Range, UserError, quoted
from ppa_plugin.files import decode_text, read_bytes, reading

# Bytes and values of a file of settings: a thousand times what the largest group needs.
_LARGEST = 1 << 22
_MOST_VALUES = 1_000_000


def load_yaml(path: str | Path, flag: str = "--config") -> Any:
    """The content of a YAML file; `UserError`, naming `flag` or the place, where it cannot be read or is not YAML.

    A value that aliases would repeat without end, or a million times, is refused before it is built.
    """
    text = decode_text(read_bytes(path, _LARGEST, flag), path)
    with reading(path, "YAML"):
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(node, path)
            return loader.construct_document(node)
        except (yaml.YAMLError, ValueError) as error:  # the latter for a date or number that there is none of
            raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def place_of(name: str, folder: Path) -> Path:
    """Where a path leads that a file in `folder` names: from there, or from a home where it begins with `~`."""
    return folder / os.path.expanduser(name)


def _check_size(root: yaml.Node, path: str | Path) -> None:
    """Count a document's values as if every alias were written out; `UserError` where there is no end to them."""
    sizes: dict[int, int | None] = {}  # None while a node is being counted

    def count(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = None
            children = node.value if isinstance(node, yaml.CollectionNode) else ()
            pairs = (child if isinstance(child, tuple) else (child,) for child in children)
            sizes[id(node)] = 1 + sum(count(each) for pair in pairs for each in pair)
        size = sizes[id(node)]
        if size is None:
            raise UserError(f"{path}, line {node.start_mark.line + 1}: a value holds itself through its alias")
        if size > _MOST_VALUES:
            raise UserError(
                f"{path}, line {node.start_mark.line + 1}: its aliases written out are more than {_MOST_VALUES:,} "
                "values; write down what is meant"
            )
        return size

    count(root)


def known_fields(section: type, content: Any, where: str) -> dict[str, Any]:
    """A copy of the mapping `content`, checked to have the dataclass's required fields and no key but its fields."""
    fields = dataclasses.fields(section)
    values = known_keys([f.name for f in fields], content, where)
    for f in fields:
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and f.name not in content:
            raise UserError(f"{where} lacks the key {f.name!r}")
    return values


def known_keys(known: Collection[str], content: Any, where: str) -> dict[str, Any]:
    """A copy of the mapping `content`; `UserError` where it is none or has a key that is not `known`."""
    if not isinstance(content, dict):
        raise UserError(f"{where} is {quoted(content)}, expected a mapping of keys to values")
    for key in content:
        if key not in known:
            nearest = difflib.get_close_matches(str(key)[:80], known, n=1, cutoff=0)[0]
            raise UserError(f"{where} has an unknown key {quoted(key)}; the nearest known key is {nearest!r}")
    return dict(content)


def check_number(name: str, value: Any, allowed: Range) -> None:
    """`UserError` unless `value` is one of the numbers `allowed`."""
    if value not in allowed:
        raise UserError(f"{name} is {quoted(value)}, expected {allowed.asked_of(value)}")
