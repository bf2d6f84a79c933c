"""Sentences of a retrieval set with numbers that their translations share, drawn alike in every language."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ppa_plugin.codes import ENGLISH, script_of
from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.retrieval.readers import Pair, RetrievalSet
from ppa_plugin.evaluation.tasks import TASKS


@dataclass(frozen=True)
class Sample:
    """Sentences of one language: `numbers[i]` is that of `sentences[i]` and of its translations."""

    language: str
    numbers: tuple[int, ...]
    sentences: tuple[str, ...] = field(repr=False)

    @property
    def script(self) -> str:
        """The script that the language's code names."""
        return script_of(self.language)


def draw(data: RetrievalSet, languages: list[str], most: int, seed: int) -> tuple[list[Sample], str]:
    """At most so many sentences of each language, and the SHA-256 of what they were drawn from.

    All numbers are put in one random order, and each language gives its first ones, so that languages with the same
    numbers give the same sentences; lines without text are passed over. The hash is that of the `data_sha256` of every
    language's pair with English, in the order of the languages.

    Raises `UserError` for a language that the set lacks, one without text, or files of different length where a line
    has to be the same sentence in all.
    """
    data.check_languages(languages)
    pairs = [data.pair(language, ENGLISH) for language in languages if language != ENGLISH]
    # where line i is not the same sentence in every language, a sentence is known by its English one
    numbered = _by_line(pairs) if TASKS[data.task].parallel else _by_english(pairs)
    everything = sorted({number for texts in numbered.values() for number in texts})
    order = np.random.default_rng(seed).permutation(everything).tolist()
    samples = []
    for language in languages:
        numbers = [number for number in order if numbered[language].get(number, "").strip()][:most]
        if not numbers:
            raise UserError(f"{data.directory}: the {data.task} text in {language} is empty")
        samples.append(Sample(language, tuple(numbers), tuple(numbered[language][number] for number in numbers)))
    digest = hashlib.sha256("".join(pair.data_sha256 for pair in pairs).encode()).hexdigest()
    return samples, digest


def draw_alone(data: RetrievalSet, language: str, most: int, seed: int) -> tuple[Sample, str]:
    """As `draw`, of one language, whatever others there are; English from its file with the first other language."""
    if language != ENGLISH:
        (sample,), digest = draw(data, [language], most, seed)
    else:
        other = next(found for found in data.languages if found != ENGLISH)
        (_, sample), digest = draw(data, [other, ENGLISH], most, seed)
    return sample, digest


def check_scripts(languages: list[str]) -> None:
    """Raise `UserError` unless the languages are of two scripts at least."""
    scripts = {script_of(language) for language in languages}
    if len(scripts) < 2:
        raise UserError(
            f"{', '.join(languages)}: only one script ({', '.join(scripts)}), and a probe needs two to tell apart; "
            "name languages of others with --languages"
        )


def _by_line(pairs: list[Pair]) -> dict[str, dict[int, str]]:
    """Sentences by language and line number."""
    first = pairs[0]
    for pair in pairs:
        if len(pair.queries.sentences) != len(first.queries.sentences):
            raise UserError(
                f"{first.queries.path} has {len(first.queries.sentences)} lines and {pair.queries.path} has "
                f"{len(pair.queries.sentences)}; line i has to be the same sentence in every language"
            )
    numbered = {pair.source: dict(enumerate(pair.queries.sentences)) for pair in pairs}
    return numbered | {ENGLISH: dict(enumerate(first.candidates.sentences))}


def _by_english(pairs: list[Pair]) -> dict[str, dict[int, str]]:
    """Sentences by language and number of their English translation; of several translations the first one counts."""
    numbers: dict[str, int] = {}
    numbered: dict[str, dict[int, str]] = {}
    for pair in pairs:
        texts = numbered.setdefault(pair.source, {})
        for sentence, english in zip(pair.queries.sentences, pair.candidates.sentences, strict=True):
            texts.setdefault(numbers.setdefault(english, len(numbers)), sentence)
    return numbered | {ENGLISH: {number: english for english, number in numbers.items()}}
