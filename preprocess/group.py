"""The group file: which languages are trained together, and how their text becomes shards."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppa_preprocess.text.exclusion import find_excluded
from ppa_preprocess.text.filters import Filters
from ppa_preprocess.text.scripts import check_script
from ppa_preprocess.tokens.binarizers import BINARIZERS

from ppa_plugin.commandline import Range, UserError, natural, seed
from ppa_plugin.romanization.romanizers import DEFAULT, find_romanizer
from ppa_plugin.yaml_file import check_number, known_fields, load_yaml

_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MOST_ROMANIZERS = 100  # each makes a pair of every line
_ISO_639_3 = re.compile(r"[a-z]{3}")
# the numbers of a group, of its file and of the flags in place of it
NUMBERS = {
    "seed": seed,
    "shards": Range(1, 10_000, whole=True),
    "valid_size": natural,
    "max_tokens": Range(3, 1_000_000, whole=True),  # <s>, one piece, </s>
}


@dataclass(frozen=True)
class Sampling:
    """How many lines of a language are taken: a share of them, but at least `min_lines` (or all there are)."""

    share: float = 0.10
    min_lines: int = 10_000

    def __post_init__(self) -> None:
        check_number("sampling.share", self.share, Range(0, 1))
        check_number("sampling.min_lines", self.min_lines, natural)


@dataclass(frozen=True)
class RomanizerChoice:
    """What writes the Latin side: a romanizer by its name, or `package.module:Class` of one's own (`romanizers.py`)."""

    name: str = DEFAULT
    normalize_punctuation: bool = False  # Moses' normalizer before romanizing; the original side stays as it is
    rescue: bool = True  # what the romanizer raises on is romanized as far as it can be; else the pair is dropped

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise UserError(f"romanizer.name is {self.name!r}, expected a text")
        find_romanizer(self.name)
        for key in ("normalize_punctuation", "rescue"):
            if not isinstance(getattr(self, key), bool):
                raise UserError(f"romanizer.{key} is {getattr(self, key)!r}, expected true or false")


@dataclass(frozen=True)
class Language:
    """What is particular to a language; `uroman` is the ISO 639-3 code for the romanizer, None for none.

    `sources` are the codes under which `--input` has its text, one after the other; None for the language's own.
    `romanizer` are romanizers in place of the group's; None for these.
    """

    uroman: str | None = None
    sources: list[str] | None = None
    romanizer: tuple[RomanizerChoice, ...] | None = None

    def __post_init__(self) -> None:
        if self.uroman is not None:
            check_language_code(self.uroman)
        if self.sources is None:
            return
        if not isinstance(self.sources, list) or not self.sources:
            raise UserError(f"sources is {self.sources!r}, expected a list of codes such as [pes_Arab, prs_Arab]")
        for code in self.sources:
            _check_file_code("sources", code)
        if len(set(self.sources)) < len(self.sources):
            raise UserError(f"sources names a code twice: {', '.join(self.sources)}")


@dataclass(frozen=True)
class Group:
    """A group of languages and the settings of its shards; the defaults are the paper's where it states them."""

    name: str
    languages: dict[str, Language]
    seed: int = 1
    shards: int = 8
    valid_size: int = 500  # pairs a language; one with fewer than twice as many gives a tenth of its pairs
    sampling: Sampling = field(default_factory=Sampling)
    filters: Filters = field(default_factory=Filters)  # before the sample is drawn
    max_tokens: int = 512  # a side, with <s> and </s>
    romanizer: tuple[RomanizerChoice, ...] = (RomanizerChoice(),)  # each writes a pair of every line
    alignment: bool = False  # keep which tokens of the sides belong together, for --tok-weight
    binarizer: str = "fairseq-preprocess"  # or direct: the same bytes, without the detour through text

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise UserError(f"name is {self.name!r}, expected a text")
        for key, allowed in NUMBERS.items():
            check_number(key, getattr(self, key), allowed)
        if self.filters.script_share:
            for lang in self.languages:
                check_script(lang)
        if not isinstance(self.alignment, bool):
            raise UserError(f"alignment is {self.alignment!r}, expected true or false")
        if self.binarizer not in BINARIZERS:
            raise UserError(f"binarizer is {self.binarizer!r}, known are: {', '.join(BINARIZERS)}")

    @property
    def source_codes(self) -> dict[str, list[str]]:
        """The codes under which `--input` has each language's text."""
        return {lang: options.sources or [lang] for lang, options in self.languages.items()}

    def romanizers_of(self, lang: str) -> tuple[RomanizerChoice, ...]:
        """The romanizers of a language, in the order of its pairs: its own, or the group's."""
        return self.languages[lang].romanizer or self.romanizer

    def with_normalized_punctuation(self) -> "Group":
        """The group with `normalize_punctuation` for every romanizer."""

        def normalizing(choices: tuple[RomanizerChoice, ...]) -> tuple[RomanizerChoice, ...]:
            return tuple(dataclasses.replace(choice, normalize_punctuation=True) for choice in choices)

        languages = {
            lang: dataclasses.replace(options, romanizer=options.romanizer and normalizing(options.romanizer))
            for lang, options in self.languages.items()
        }
        return dataclasses.replace(self, romanizer=normalizing(self.romanizer), languages=languages)

    def as_dict(self) -> dict[str, Any]:
        """The group with every default filled in, as plain JSON types: the form of a group file.

        `alignment` is there where it is on.
        """
        content = dataclasses.asdict(self)
        content["filters"]["exclude"] = [data.name for data in self.filters.exclude]
        if not self.alignment:
            del content["alignment"]  # manifests are then as before there was one
        for section in (content, *content["languages"].values()):
            if section["romanizer"] is None:
                del section["romanizer"]
            elif len(section["romanizer"]) == 1:
                (section["romanizer"],) = section["romanizer"]
        return content


def check_language_code(code: Any) -> None:
    """Raise `UserError` unless `code` looks like an ISO 639-3 code, such as `tur`."""
    if not isinstance(code, str) or not _ISO_639_3.fullmatch(code):
        raise UserError(f"{code!r} is not an ISO 639-3 code: three small letters such as 'tur', or null for none")


def load_group(path: str | Path) -> Group:
    """Read a group file; `UserError` where it cannot be read or a key or value is not one of the documented ones."""
    content = load_yaml(path)
    try:
        return _group(content, Path(path).parent)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _group(content: Any, folder: Path) -> Group:
    values = known_fields(Group, content, "the group")
    languages = values["languages"]
    if not isinstance(languages, dict) or not languages:
        raise UserError("languages is empty or no mapping; write one line such as 'tur_Latn: {uroman: null}' for each")
    for lang in languages:
        _check_file_code("languages", lang)
    values["languages"] = {lang: _language(options or {}, f"languages.{lang}") for lang, options in languages.items()}
    for key, section in (("sampling", Sampling), ("filters", Filters)):
        if key in values:
            values[key] = _section(section, values[key], key, folder)
    if "romanizer" in values:
        values["romanizer"] = _romanizers(values["romanizer"])
    return Group(**values)


def _language(content: Any, where: str) -> Language:
    values = known_fields(Language, content, where)
    if values.get("romanizer") is not None:
        try:
            values["romanizer"] = _romanizers(values["romanizer"])
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    return Language(**values)


def _romanizers(content: Any) -> tuple[RomanizerChoice, ...]:
    """One romanizer or a list of them, each a name alone or a mapping."""
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise UserError("romanizer is an empty list, expected one romanizer or several, such as [uroman, pypinyin]")
    if len(entries) > _MOST_ROMANIZERS:
        raise UserError(f"romanizer names {len(entries):,}, expected at most {_MOST_ROMANIZERS}")
    mappings = [{"name": entry} if isinstance(entry, str) else entry for entry in entries]
    choices = [RomanizerChoice(**known_fields(RomanizerChoice, mapping, "romanizer")) for mapping in mappings]
    names = [choice.name for choice in choices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"romanizer names {twice} twice, which would make two equal pairs of each line; name it once")
    return tuple(choices)


def _check_file_code(where: str, code: Any) -> None:
    if not isinstance(code, str) or not _LANGUAGE.fullmatch(code):
        raise UserError(f"{where}: {code!r} is not a language code such as 'tur_Latn'")


def _section(section: type, content: Any, where: str, folder: Path) -> Any:
    values = known_fields(section, content, where)
    if "exclude" in values:
        values["exclude"] = find_excluded(values["exclude"], folder)
    return section(**values)
