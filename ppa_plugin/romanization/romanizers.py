"""Romanizers: what turns one line of any script into one line of Latin letters."""

import importlib
from importlib import metadata
from typing import NamedTuple, Protocol

from ppa_plugin.commandline import UserError
from ppa_plugin.romanization.exact_uroman import Uroman


class Romanizer(Protocol):
    """What a romanizer has to offer: a class without arguments; forked processes share one instance.

    A group file names its own one by module and class, `romanizer: {name: my_package.my_module:MyRomanizer}`. It may
    offer `split(line) -> list[str]` as well: the parts of a line that, romanized one by one and joined, are the line's
    romanization. Then each distinct part is romanized once, and kept in the romanizer cache under `version`. It may
    offer `rescue(text, lang) -> str`, which is asked where `romanize` raises on a line or a part. And it may offer
    `edges(line, lang) -> list[tuple[int, str]]`: what `romanize` gives, as runs of the line's characters, how many in
    each, and the letters that they became, in order. With `alignment: true` it is asked in place of `romanize`; a
    romanizer without it gives no token alignment.
    """

    version: str

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` is an ISO 639-3 code or None.

        Where it raises and nothing is rescued, the pair is dropped and recorded.
        """


DEFAULT = "uroman"
ROMANIZERS: dict[str, type[Romanizer]] = {DEFAULT: Uroman}


class Packaged(NamedTuple):
    """A romanizer of another package: its module and class here, and the distributions that it is made of."""

    place: str
    distributions: tuple[str, ...]


_ROOM = "ppa_plugin.romanization.packages"
# by the names of group files, which are those of the extras too
PACKAGED = {
    "pypinyin": Packaged(f"{_ROOM}.chinese:Pypinyin", ("pypinyin",)),
    "pythainlp": Packaged(f"{_ROOM}.thai:Pythainlp", ("pythainlp",)),
    "cutlet": Packaged(f"{_ROOM}.japanese:Cutlet", ("cutlet", "fugashi", "unidic-lite")),
    "indic-transliteration": Packaged(f"{_ROOM}.indic:IndicTransliteration", ("indic-transliteration",)),
    "icu": Packaged(f"{_ROOM}.icu:Icu", ("PyICU",)),
}


def find_romanizer(name: str, where: str = "romanizer.name") -> type[Romanizer]:
    """The romanizer's class, by its name or as `module:Class`.

    Raises `UserError`, which says that `where` names it, where there is none.
    """
    if name in ROMANIZERS:
        return ROMANIZERS[name]
    if name in PACKAGED:
        _check_installed(name, where)
    place = PACKAGED[name].place if name in PACKAGED else name
    module, colon, attribute = place.partition(":")
    if not colon:
        known = ", ".join((*ROMANIZERS, *PACKAGED))
        raise UserError(f"{where} is {name!r}, known are: {known}; name your own as package.module:Class")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # the third of `..x:Y`
        raise UserError(f"{where} is {name!r}, which cannot be imported: {error}") from None
    if not isinstance(getattr(found, "version", None), str) or not callable(getattr(found, "romanize", None)):
        raise UserError(f"{where} is {name!r}, which lacks `version`, a text, or `romanize(line, lang)`")
    return found


def titled(name: str, version: str) -> str:
    """A romanizer with its version; those of other packages have the name in that."""
    return version if name.lower() in version.lower() else f"{name} {version}"


def _check_installed(name: str, where: str) -> None:
    """Raise `UserError` where a distribution of a packaged romanizer is not there."""
    for distribution in PACKAGED[name].distributions:
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError:
            raise UserError(
                f"{where} is {name!r}, which needs the package {distribution}: pip install 'translit-ppa[{name}]'"
            ) from None
