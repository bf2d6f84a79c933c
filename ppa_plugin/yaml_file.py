"""Reading a YAML file of settings, so that a mistyped key or value is one sentence."""

import dataclasses
import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from ppa_plugin.commandline import Range, UserError, shown
from ppa_plugin.files import decode_text


def load_yaml(path: str | Path, flag: str = "--config") -> Any:
    """The content of a YAML file; `UserError`, naming `flag` or the place, where it cannot be read or is not YAML."""
    try:
        return yaml.safe_load(decode_text(Path(path).read_bytes(), path))
    except OSError as error:
        raise UserError(f"cannot read {flag} {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


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
        raise UserError(f"{where} is {content!r}, expected a mapping of keys to values")
    for key in content:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0)[0]
            raise UserError(f"{where} has an unknown key {key!r}; the nearest known key is {nearest!r}")
    return dict(content)


def check_number(name: str, value: Any, allowed: Range) -> None:
    """`UserError` unless `value` is one of the numbers `allowed`."""
    if value not in allowed:
        raise UserError(
            f"{name} is {shown(repr(value) if isinstance(value, str) else value)}, expected {allowed.asked_of(value)}"
        )
