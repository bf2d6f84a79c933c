"""Romanizing a chunk of lines: each distinct part once, from memory, from the cache on disk, or by the romanizer."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from ppa_plugin.romanization.cache import CacheTrouble, RomanizationCache
from ppa_plugin.romanization.edges import mark, mark_unchanged, unmark
from ppa_plugin.romanization.romanizers import Romanizer, find_romanizer

# Parts in memory: at most twice as many, 60 MB of words, are held by each process.
RECENT_PARTS = 1 << 17
# How the reason of a line that has a romanization begins.
RESCUED, LOSSY = "rescued", "romanization loses letters"


@dataclass(frozen=True)
class Romanization:
    """How lines are romanized; what a worker process has to know.

    `lang` is an ISO 639-3 code for the romanizer or None, `cache` the file of the romanizer cache or None for memory
    alone. With `rescue` a line that the romanizer raises on is romanized as far as it can be, if the romanizer offers
    that. `normalize_punctuation` runs Moses' punctuation normalizer, as for English, over what the romanizer reads:
    curly, low and angle quotes become straight ones, long dashes hyphens, an ellipsis three dots, spaces around
    brackets, colons and percent signs move, a full stop or comma after a quote goes before it. The Latin side alone
    changes; the original side stays as it is. With `edges` it is kept which characters became which letters, where
    the romanizer says so and the normalizer changed nothing.
    """

    name: str
    lang: str | None = None
    normalize_punctuation: bool = False
    cache: Path | None = None
    rescue: bool = True
    edges: bool = False

    def made_with(self) -> dict[str, str | bool | None]:
        """All that the romanizations depend on, versions included."""
        normalizer = f"sacremoses {metadata.version('sacremoses')}" if self.normalize_punctuation else None
        version = find_romanizer(self.name).version
        made_with = {"romanizer": self.name, "version": version, "code": self.lang, "punctuation": normalizer}
        # what was made before there were edges stays valid
        return made_with | {"rescue": self.rescue} | ({"edges": True} if self.edges else {})

    def cache_key(self) -> tuple[str, str, str | None]:
        """Romanizer, version and code, under which the cache keeps parts; marked ones under another version."""
        romanizer = find_romanizer(self.name)
        marked = " with edges" if self.edges and hasattr(romanizer, "edges") else ""
        return self.name, f"{romanizer.version}{marked}", self.lang


class Chunk(NamedTuple):
    """What a chunk of lines comes to, line for line, and what is to be done about the cache."""

    latn: list[str]
    reasons: list[str | None]  # why a line has no romanization, or one that is in doubt
    new: dict[str, str]  # romanizations that the cache lacks
    trouble: CacheTrouble | None  # what reading it came to
    edges: list[str] | None = None  # with `edges`: marked romanizations; empty where it is not known what became what


@functools.cache
def load_romanizer(name: str) -> Romanizer:
    """The romanizer of that name, loaded once: uroman takes seconds, and forked processes inherit it."""
    return find_romanizer(name)()


class RecentParts(dict):
    """Romanizations by part: those of the last so many parts, as a dict whose look-ups keep what is used.

    When it holds `most` parts they become the old ones, and the old ones before them are forgotten; an old one that is
    looked up is taken over. So a look-up costs what a dict's costs, and no more than 2 x `most` are held between calls
    of `forget_the_oldest`.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._old: dict[str, str] = {}

    def __missing__(self, part: str) -> str:
        latn = self[part] = self._old[part]
        return latn

    def __contains__(self, part: object) -> bool:
        return super().__contains__(part) or part in self._old

    def forget_the_oldest(self) -> None:
        if len(self) >= self._most:
            self._old = dict(self)
            self.clear()


class PartwiseRomanizer:
    """Romanizes chunks of lines in one process; open it after the process was forked, and close it.

    With `edges`, what is romanized, kept in memory and in the cache, and joined is marked (`romanization.edges`).
    """

    def __init__(self, settings: Romanization) -> None:
        self._romanizer = load_romanizer(settings.name)
        self._lang = settings.lang
        rescue = getattr(self._romanizer, "rescue", None) if settings.rescue else None
        self._edges = settings.edges
        self._marks = settings.edges and hasattr(self._romanizer, "edges")
        if self._marks:
            self._ways = [self._marked, rescue and functools.partial(self._marked_as_one, rescue)]
        else:
            self._ways = [self._romanizer.romanize, rescue]
        self._split = getattr(self._romanizer, "split", None)
        self._normalize = None
        if settings.normalize_punctuation:
            from sacremoses import MosesPunctNormalizer  # half a second that few need

            self._normalize = MosesPunctNormalizer().normalize
        self._recent = RecentParts(RECENT_PARTS)
        self._cache = None
        self._trouble: CacheTrouble | None = None
        if settings.cache and self._split:
            try:
                self._cache = RomanizationCache(settings.cache, *settings.cache_key())
                self._recent.update(self._cache.first(RECENT_PARTS))
            except CacheTrouble as trouble:
                self._give_up(trouble)

    def romanize(self, lines: list[str]) -> Chunk:
        """Romanize lines without `\\n` that have a UTF-8 form; one that fails costs no other its romanization."""
        texts = [self._normalize(line) for line in lines] if self._normalize else lines
        if self._split:
            rows, new = self._by_parts(texts)
        else:
            rows, new = [self._attempt(text) for text in texts], {}
        marked = [romanization for romanization, _ in rows] if self._marks else []
        if self._marks:
            rows = [(unmark(romanization), reason) for romanization, reason in rows]
        checked = map(_checked, lines, rows)
        latn, reasons = (list(column) for column in zip(*checked, strict=True)) if rows else ([], [])
        edges = self._known_edges(lines, texts, latn, marked) if self._edges else None
        return Chunk(latn, reasons, new, self._trouble, edges)

    def _known_edges(self, lines: list[str], texts: list[str], latn: list[str], marked: list[str]) -> list[str]:
        """The marked romanizations of the lines that have one and were romanized as they are; empty for the others."""
        if not self._marks:
            return [""] * len(lines)
        if self._normalize:
            marked = [known * (line == text) for line, text, known in zip(lines, texts, marked, strict=True)]
        return [known if romanization else "" for romanization, known in zip(latn, marked, strict=True)]

    def close(self) -> None:
        """Let go of the cache's file."""
        if self._cache:
            self._cache.close()

    def _by_parts(self, texts: list[str]) -> tuple[list[tuple[str, str | None]], dict[str, str]]:
        self._recent.forget_the_oldest()
        split = [self._split(text) for text in texts]
        latn = [self._joined(parts) for parts in split]
        missing = {part for parts, known in zip(split, latn, strict=True) if known is None for part in parts}
        failed, new = self._look_up([part for part in missing if part not in self._recent])
        rows: list[tuple[str, str | None]] = []
        for parts, known in zip(split, latn, strict=True):
            joined = self._joined(parts) if known is None else known
            rows.append(self._with_failed(parts, failed) if joined is None else (joined, None))
        return rows, new

    def _with_failed(self, parts: list[str], failed: dict[str, tuple[str, str]]) -> tuple[str, str]:
        """The romanizations of parts of which some failed, joined, and why; empty where one was not rescued."""
        reasons = [failed[part][1] for part in parts if part in failed]
        if lost := next((reason for reason in reasons if not reason.startswith(RESCUED)), None):
            return "", lost
        return "".join(failed[part][0] if part in failed else self._recent[part] for part in parts), reasons[0]

    def _joined(self, parts: list[str]) -> str | None:
        """The romanizations in memory of the parts, joined; None where one is missing."""
        try:
            return "".join(map(self._recent.__getitem__, parts))
        except KeyError:
            return None

    def _look_up(self, missing: list[str]) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
        """Put romanizations of the parts into memory; give those that fail, what is rescued of each and the reason,
        which are not kept, and what is new on disk.
        """
        if self._cache:
            try:  # ASCII takes no time, and is not kept
                self._recent.update(self._cache.find(part for part in missing if not part.isascii()))
            except CacheTrouble as trouble:
                self._give_up(trouble)
        failed, new = {}, {}
        for part in missing:
            if part in self._recent:
                continue
            latn, reason = self._attempt(part)
            if reason:
                failed[part] = latn, reason
                continue
            self._recent[part] = latn
            if self._cache and not part.isascii():
                new[part] = latn
        return failed, new

    def _give_up(self, trouble: CacheTrouble) -> None:
        self._trouble = trouble
        self.close()
        self._cache = None

    def _attempt(self, text: str) -> tuple[str, str | None]:
        """The romanization, or what is rescued of it, and why it is not the romanizer's own; empty where nothing is."""
        reason = None
        for romanize in filter(None, self._ways):
            try:
                latn = romanize(text, self._lang)
                latn.encode()
                return latn, reason and f"{RESCUED}: {reason}"
            except MemoryError:
                raise
            except Exception as error:  # whatever one sentence does to the romanizer, the others are not lost
                reason = reason or f"romanizer raised {type(error).__name__}"
        return "", reason

    def _marked(self, text: str, lang: str | None) -> str:
        """A text's marked romanization; one whose edges do not tile it has a single edge."""
        if (
            text.isascii() and self._romanizer.romanize(text, lang) == text
        ):  # most, and edges would take three times that
            return mark_unchanged(text)
        edges = self._romanizer.edges(text, lang)
        if sum(characters for characters, _ in edges) == len(text):
            return mark(edges)
        return mark([(len(text), "".join(letters for _, letters in edges))])

    @staticmethod
    def _marked_as_one(romanize: Callable[[str, str | None], str], text: str, lang: str | None) -> str:
        return mark([(len(text), romanize(text, lang))])


def _checked(line: str, row: tuple[str, str | None]) -> tuple[str, str | None]:
    """The romanization of a line and the reason, as `Chunk` has them."""
    latn, reason = row
    if "\n" in latn:
        return "", "romanization has a line break"
    # one that is no shorter has lost no letters; counting them takes as long as a look-up
    if latn and reason is None and len(latn) < len(line) and 2 * _letters(latn) < _letters(line):
        return latn, f"{LOSSY}: {_letters(latn)} letters of {_letters(line)}"
    return row


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))
