"""Which romanizer each language has: as a flag names them, or as the manifest of shards says that they were made."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppa_plugin.codes import canonical, same_language
from ppa_plugin.commandline import UserError, note_once, quoted, shown
from ppa_plugin.files import check_file, read_json_object
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.romanizers import DEFAULT, PACKAGED, ROMANIZERS, find_romanizer, titled

MANIFEST = "manifest.json"
_UROMAN = Romanization(DEFAULT)


@dataclass(frozen=True)
class Romanizers:
    """How each language is romanized: as `own` says by Glot500's code, every other one as `rest` does.

    `named` are the languages that the user named, of which there has to be text. As a text it is one for all that come
    to the same: each romanizer with its version, `zho_Hani: pypinyin 0.55.0; others: uroman 1.3.1.1`.
    """

    rest: Romanization = _UROMAN
    own: Mapping[str, Romanization] = field(default_factory=dict)
    named: tuple[str, ...] = ()

    def of(self, language: str) -> Romanization:
        """The settings of a language, by Glot500's code; those of `arb_Arab` are for `ara_Arab` too."""
        if language in self.own:
            return self.own[language]
        return next((own for code, own in self.own.items() if same_language(code, language)), self.rest)

    def __str__(self) -> str:
        own = [f"{code}: {_said(settings)}" for code, settings in sorted(self.own.items()) if settings != self.rest]
        return "; ".join([*own, f"others: {_said(self.rest)}"]) if own else _said(self.rest)

    def remark(self) -> dict[str, str]:
        """What a record says of them; nothing of uroman without a code for all languages, the default."""
        return {} if str(self) == str(Romanizers()) else {"romanizer": str(self)}

    def check_named(self, found: Iterable[str], where: str | Path) -> None:
        """Raise `UserError` where a language was named of which there is none of `found`; `where` is that text."""
        found = list(found)
        for language in self.named:
            if not any(same_language(language, other) for other in found):
                listed = ", ".join(found)
                raise UserError(f"a romanizer is named for {language}, of which {where} has no text; found: {listed}")


def parse(text: str | None, where: str = "--romanizer", folder: Path = Path()) -> Romanizers:
    """Romanizers as a user names them, in one of two forms; None for uroman without a code, the default.

    `NAME` for all languages, `LANG=NAME` for one, several between commas: names are those of group files. Or the path,
    from `folder`, of a `manifest.json` of ppa-preprocess, or of the directory of shards that it is in, for what their
    languages were romanized with; what is named after it, behind a comma, stands in place of what the manifest has.
    Raises `UserError`, beginning with `where`, for what is neither.
    """
    if text is None:
        return Romanizers()
    first, _, others = text.partition(",")
    if os.path.exists(folder / text) and _is_path(text, folder):
        first, others = text, ""
    if not _is_path(first, folder):
        chosen = _named(text, where)
        return Romanizers(chosen.pop(None, _UROMAN), chosen, tuple(chosen))
    chosen = _named(others, where) if others else {}
    return _of_manifest(_manifest_at(folder / first, where), chosen)


def _named(text: str, where: str) -> dict[str | None, Romanization]:
    """What `NAME,LANG=NAME` says, by language; None for all others."""
    chosen: dict[str | None, Romanization] = {}
    for part in text.split(","):
        code, equals, name = (piece.strip() for piece in part.rpartition("="))
        language = canonical(code) if equals else None
        if equals and language is None:
            raise UserError(f"{where}: {quoted(code)} is not a language code such as zho_Hani")
        find_romanizer(name, where)
        if language in chosen:
            raise UserError(f"{where} {shown(text)} names two romanizers for {language or 'all languages'}")
        chosen[language] = Romanization(name)
    return chosen


def _is_path(text: str, folder: Path) -> bool:
    """Whether a manifest is meant. A romanizer that is known by that name is meant before a directory beside."""
    if text in ("", *ROMANIZERS, *PACKAGED) or "\0" in text:
        return False
    return os.path.isdir(folder / text) or ("=" not in text and ("/" in text or text.endswith(".json")))


def _manifest_at(path: Path, where: str) -> Path:
    """The manifest itself: a directory has it, or, as a shard, the one above."""
    if not os.path.isdir(path):
        check_file(path, where)
        return path
    for directory in (path, path.absolute().parent):
        if (directory / MANIFEST).is_file():
            return directory / MANIFEST
    raise UserError(f"{where}: neither {path} nor the directory above it has the {MANIFEST} of ppa-preprocess")


def _of_manifest(path: Path, chosen: Mapping[str | None, Romanization]) -> Romanizers:
    """What the languages of a manifest were romanized with, by the first where there were several; or what is chosen.

    Other languages, and those whose pairs were brought along, are romanized as the group says. Notes say where nothing
    is known of a language, and where its romanizer is another version now.
    """
    content = read_json_object(path)
    languages, group = content.get("languages"), content.get("group")
    if not isinstance(languages, dict) or not languages or not isinstance(group, dict):
        raise UserError(f"{path} is no {MANIFEST} of ppa-preprocess: it has no languages or no group")
    rest = chosen.get(None)
    if rest is None:
        default = _first(group.get("romanizer"), ("name",), path, "the group") or {"name": DEFAULT}
        rest = _settings(default["name"], None, default.get("normalize_punctuation"), path)
    own: dict[str, Romanization] = {}
    unknown = []
    for code, of_language in languages.items():
        if canonical(code) in chosen:
            continue
        made = of_language.get("romanizer") if isinstance(of_language, dict) else of_language
        made = _first(made, ("name", "version", "code", "punctuation"), path, quoted(code))
        if made is None:
            unknown.append(code)
            continue
        settings = _settings(made["name"], made["code"], made["punctuation"], path)
        _note_version(made, path)
        if own.setdefault(canonical(code) or code, settings) != settings:
            raise UserError(f"{path} has {canonical(code)} twice, romanized in two ways; name them: LANG=NAME,...")
    if unknown:
        note_once(f"{path} does not say what romanized {', '.join(unknown)}; taken is {_said(rest)}")
    named = {language: settings for language, settings in chosen.items() if language is not None}
    return Romanizers(rest, own | named, tuple(named))


def _first(made: Any, keys: Sequence[str], path: Path, what: str) -> dict[str, Any] | None:
    """The first of the romanizers that a manifest has there; None for none."""
    first = made[0] if isinstance(made, list) and made else made
    if first is None:
        return None
    whole = isinstance(first, dict) and all(key in first for key in keys)
    if not whole or not isinstance(first["name"], str) or not isinstance(first.get("code"), str | None):
        raise UserError(f"{path} is no {MANIFEST} of ppa-preprocess: the romanizer of {what} is {quoted(made)}")
    return first


def _settings(name: str, code: str | None, punctuation: Any, path: Path) -> Romanization:
    if ":" in name:
        # a file that may come with a stranger's shards decides on no code that is run
        raise UserError(
            f"{path} names the romanizer {quoted(name)}, which is of somebody's own: name it yourself after the path, "
            "as in DIR,zho_Hani=package.module:Class"
        )
    find_romanizer(name, f"{path}: a romanizer")
    return Romanization(name, code, bool(punctuation))


def _note_version(made: dict[str, Any], path: Path) -> None:
    now = find_romanizer(made["name"]).version
    if made["version"] != now:
        note_once(f"{path}: {made['name']} was {shown(made['version'])} and is {now} here; it may write other letters")


def _said(settings: Romanization) -> str:
    """A romanizer with all that its letters depend on."""
    made = settings.made_with()
    text = titled(made["romanizer"], made["version"]) + (f" -l {settings.lang}" if settings.lang else "")
    return f"{text}, punctuation by {made['punctuation']}" if made["punctuation"] else text
