"""Romanizers: what turns one line of any script into one line of Latin letters."""

from collections.abc import Callable
from importlib import metadata
from typing import Protocol

import uroman


class Romanizer(Protocol):
    """What a romanizer has to offer; it is built once, then shared by forked processes."""

    version: str

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize one line; `lang` is an ISO 639-3 code or None. Where it raises, the pair is dropped and recorded."""


class Uroman:
    """uroman in its cached mode, as its own command line runs it."""

    version = metadata.version("uroman")

    def __init__(self) -> None:
        # Without a cache uroman does not split at delimiters and romanizes some Chinese lines differently.
        self._uroman = uroman.Uroman(cache_size=65536)

    def romanize(self, line: str, lang: str | None) -> str:
        return self._uroman.romanize_string(line, lcode=lang)


ROMANIZERS: dict[str, Callable[[], Romanizer]] = {"uroman": Uroman}
