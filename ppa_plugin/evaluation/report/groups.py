"""Groups of languages: the rows of a table."""

from collections.abc import Iterable
from dataclasses import dataclass

from ppa_plugin.codes import canonical, is_latin, script_of
from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.yaml_file import load_yaml


@dataclass(frozen=True)
class Group:
    """Languages that are reported together, in the order of their rows; None: all that were measured."""

    name: str
    languages: tuple[str, ...] | None

    def targets(self, found: Iterable[str]) -> list[str]:
        """Those of `found` in the group, in its order."""
        found = set(found)
        return sorted(found) if self.languages is None else [code for code in self.languages if code in found]


EVERYTHING = Group("all languages", None)


def read_groups(path: str) -> list[Group]:
    """Groups of a YAML file, name -> list of codes. Raises `UserError`, naming the group, for anything else."""
    loaded = load_yaml(path, "--groups")
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(f"{path} has to map names of groups to lists of languages, as in `mine: [tur_Latn, fas_Arab]`")
    return [Group(str(name), _languages(path, name, codes)) for name, codes in loaded.items()]


def _languages(path: str, name: object, codes: object) -> tuple[str, ...]:
    if not isinstance(codes, list) or not codes:
        raise UserError(f"{path}: group {_short(name)} has to be a list of languages such as [tur_Latn, fas_Arab]")
    unknown = [code for code in codes if not isinstance(code, str) or canonical(code) is None]
    if unknown:
        raise UserError(f"{path}: group {_short(name)}: {quoted(unknown[0])} is not a language code such as fas_Arab")
    return tuple(dict.fromkeys(canonical(code) for code in codes))


def _short(name: object) -> str:
    """A group's name in a message."""
    return name if isinstance(name, str) and len(name) < 60 else quoted(name)


def sources_of(group: Group, groups: list[Group], sources: Iterable[str]) -> list[str]:
    """The sources that a group's table shows, Latin script first: its own languages and those of no group (English)."""
    elsewhere = {code for other in groups for code in other.languages or ()} - set(group.languages or ())
    return sorted({s for s in sources if s not in elsewhere}, key=source_order)


def source_order(code: str) -> tuple[bool, str, str]:
    """Latin script first, then by script and language."""
    return (not is_latin(code), script_of(code), code)
