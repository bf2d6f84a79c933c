"""How a model's tokenizer covers text before and after romanization (the paper's Table 6)."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ppa_plugin.codes import WITHOUT_SPACES, script_of
from ppa_plugin.commandline import UserError, align
from ppa_plugin.data.masking import SIDES
from ppa_plugin.evaluation.analysis.records import Record, record
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.tables import percent

_LINES_A_CHUNK = 1000


@dataclass
class Coverage:
    """What the tokens of one side of a language's text are.

    `words` counts units: words between white space, or, where the language's script is written without spaces,
    characters of the original other than white space, on both sides, so that before and after compare. `counts` holds
    how often each token occurs, `<s>` and `</s>` not added; `unknown` is the id of `<unk>`.
    """

    language: str
    side: str
    unknown: int | None
    words: int = 0
    counts: Counter = field(default_factory=Counter)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def tokens(self) -> int:
        """All tokens, `<unk>` included."""
        return self.counts.total()

    @property
    def unknown_tokens(self) -> int:
        """How many of them are `<unk>`."""
        return self.counts.get(self.unknown, 0)

    @property
    def distinct(self) -> set[int]:
        """The tokens that occur; `<unk>`, which stands for text that is not covered, is none of them."""
        return set(self.counts) - {self.unknown}

    @property
    def data_sha256(self) -> str:
        """SHA-256 of the lines counted, each with its line end: that of the file where the whole file was counted."""
        return self._digest.hexdigest()

    def add(self, lines: list[str], token_ids: list[list[int]], words: int) -> None:
        """Count the tokens of some lines."""
        self.words += words
        self.counts.update(itertools.chain.from_iterable(token_ids))
        self._digest.update("".join(f"{line}\n" for line in lines).encode("utf-8"))


def unit_of(language: str) -> str:
    """What the tokens of a language are set against: `character` in scripts without spaces, else `word`."""
    return "character" if script_of(language) in WITHOUT_SPACES else "word"


def cover(language: str, pairs: Iterable[tuple[str, str]], tokenizer) -> list[Coverage]:
    """The coverage of the original and of the romanized side of a language's text.

    Raises `UserError` where a side holds no text.
    """
    unknown = tokenizer.unk_token_id
    sides = [Coverage(language, side, unknown) for side in SIDES]
    by_character = unit_of(language) == "character"
    for chunk in _chunks(pairs):
        columns = [list(column) for column in zip(*chunk, strict=True)]
        for side, lines in zip(sides, columns, strict=True):
            words = _characters(columns[0]) if by_character else sum(len(line.split()) for line in lines)
            token_ids = tokenizer(lines, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
            side.add(lines, token_ids, words)
    for side in sides:
        if not side.tokens or not side.words:
            raise UserError(f"the {side.side} side of {language} holds no text; give a file that has some")
    return sides


def shared(coverages: Iterable[Coverage]) -> dict[str, float | None]:
    """By language, the share of its distinct tokens that another one of these languages uses too.

    `coverages` are of one side. None where no other language is given, or nothing of a language is covered.
    """
    distinct = {coverage.language: coverage.distinct for coverage in coverages}
    users = Counter(itertools.chain.from_iterable(distinct.values()))
    return {
        language: sum(users[token] > 1 for token in tokens) / len(tokens) if tokens and len(distinct) > 1 else None
        for language, tokens in distinct.items()
    }


def records(coverages: list[Coverage], model: Model, remark: dict[str, str]) -> list[Record]:
    """A `vocabulary` record of every coverage, the original sides first, each with `remark`, of the whole run.

    `shared` is the share of its distinct tokens that another of the languages uses too. `group` is the same side of all
    languages together; its `shared` is the mean over them.
    """
    found = []
    for side in SIDES:
        chosen = [coverage for coverage in coverages if coverage.side == side]
        shares = shared(chosen)
        known = [share for share in shares.values() if share is not None]
        group = {"languages": [coverage.language for coverage in chosen], **_token_counts(chosen)}
        group["shared"] = sum(known) / len(known) if known else None
        for coverage in chosen:
            values = {"language": coverage.language, "side": side, "unit": unit_of(coverage.language)}
            values |= {"words": coverage.words, **_token_counts([coverage])}
            values |= {"tokens_per_word": coverage.tokens / coverage.words}
            values |= {"shared": shares[coverage.language], "group": group, **remark}
            found.append(record("vocabulary", model, coverage.data_sha256, **values))
    return found


def table(entries: list[Record]) -> str:
    """The records of one run as a table: a language a row, the group below, before and after side by side."""
    columns = {
        "distinct": lambda entry: f"{entry['distinct_tokens']:,}",
        "not <unk>": lambda entry: percent(entry["covered"]),
        "tokens/unit": lambda entry: f"{entry['tokens_per_word']:.2f}" if "tokens_per_word" in entry else "–",
        "shared": lambda entry: percent(entry["shared"]),
    }
    rows = [["", "", *(cell for name in columns for cell in (name, ""))], ["language", "unit", *SIDES * len(columns)]]
    by_label: dict[tuple[str, str], dict[str, Record]] = {}
    for entry in entries:
        by_label.setdefault((entry["language"], entry["unit"]), {})[entry["side"]] = entry
    lines = sorted(by_label.items())
    group = {entry["side"]: entry["group"] for entry in entries}
    lines.append(((f"all ({len(lines)})", "–"), group))
    rows += [[*label, *(show(sides[side]) for show in columns.values() for side in SIDES)] for label, sides in lines]
    return "\n".join(align(rows))


def _token_counts(coverages: list[Coverage]) -> dict[str, int | float]:
    """Of one or more coverages of a side together."""
    tokens = sum(coverage.tokens for coverage in coverages)
    unknown = sum(coverage.unknown_tokens for coverage in coverages)
    distinct = set().union(*(coverage.distinct for coverage in coverages))
    return {
        "tokens": tokens,
        "distinct_tokens": len(distinct),
        "unknown_tokens": unknown,
        "covered": (tokens - unknown) / tokens,
    }


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    pairs = iter(pairs)
    while chunk := list(itertools.islice(pairs, _LINES_A_CHUNK)):
        yield chunk


def _characters(lines: list[str]) -> int:
    return sum(len(word) for line in lines for word in line.split())
