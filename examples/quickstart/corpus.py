"""Builds the quick start's corpus from the CLDR data inside Babel: real names, units, dates and lists in many scripts.

    python examples/quickstart/corpus.py --output runs/quickstart --seed 1

writes `text/<lang>.txt`, one training line a line, and `retrieval/bible.<lang>-eng_Latn.{<lang>,eng_Latn}`, names that
were held out, in the layout of SR-B. Names of places, peoples and currencies mostly travel between languages by their
sound: this is what a romanization brings to light, so that a model may find a name in a script it was never shown the
name in. The same keys are held out in every language, and no line of training text, of whatever language, contains a
name that was held out of any.
"""

import argparse
import datetime
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from babel import Locale, dates, lists, units

ENGLISH = "eng_Latn"
# Glot500's code of every language that CLDR has names in, and CLDR's own.
LOCALES = {
    ENGLISH: "en",
    # the Mediterranean, Amharic and Farsi group
    "arb_Arab": "ar",
    "fas_Arab": "fa",
    "amh_Ethi": "am",
    "ell_Grek": "el",
    "heb_Hebr": "he",
    "tur_Latn": "tr",
    "mlt_Latn": "mt",
    # the South-East Asian group
    "zho_Hani": "zh",
    "yue_Hani": "yue",
    "kor_Hang": "ko",
    "lao_Laoo": "lo",
    "mya_Mymr": "my",
    "tha_Thai": "th",
    "bod_Tibt": "bo",
}
DEFAULT_LANGUAGES = (ENGLISH, "ell_Grek", "heb_Hebr", "fas_Arab", "amh_Ethi", "kor_Hang", "tha_Thai")
MAX_HELD_OUT = 300

Key = tuple[str, str]  # what it names ("territory", "city", ...) and CLDR's code for it


def clean(text: str) -> str:
    """`text` with single spaces and without invisible marks, but for the joiners that spelling depends on."""
    visible = (c for c in text if c in "\u200c\u200d" or unicodedata.category(c) != "Cf")
    return " ".join("".join(visible).split())


def read_names(language: str) -> dict[Key, str]:
    """Every name that CLDR has in `language`: territories, languages, scripts, currencies and cities."""
    locale = Locale.parse(LOCALES[language])
    tables = {
        "territory": locale.territories,
        "language": locale.languages,
        "script": locale.scripts,
        "currency": locale.currencies,
        "city": {zone: entry["city"] for zone, entry in locale.time_zones.items() if "city" in entry},
    }
    if language == ENGLISH:
        # CLDR leaves an English city out where it is the last part of its zone: Europe/Athens
        zones = Locale.parse("ko").time_zones
        tables["city"] = {zone: zone.split("/")[-1].replace("_", " ") for zone in zones} | tables["city"]
    return {(kind, str(code)): clean(name) for kind, table in tables.items() for code, name in table.items()}


def in_own_script(language: str, name: str) -> bool:
    """Whether `name` is spelt in the script of `language`: CLDR leaves some names in Latin letters everywhere."""
    has_latin = any(unicodedata.name(c, "").startswith("LATIN") for c in name)
    return has_latin == language.endswith("_Latn") and any(c.isalpha() for c in name)


def choose_held_out(names: dict[str, dict[Key, str]], rng: random.Random) -> list[Key]:
    """Draw min(300, a third) of the keys that every language has a name for.

    Only such keys are drawn whose names are part of no other name in any language: 'Niger' is never held out, because
    'Nigeria' could not be trained on then, and a name that two keys share would have two right answers.
    """
    everywhere = set.intersection(*(set(table) for table in names.values()))
    eligible = []
    texts = {language: "\n".join(table.values()).casefold() for language, table in names.items()}
    for key in sorted(everywhere):
        own = {language: table[key].casefold() for language, table in names.items()}
        if all(in_own_script(language, names[language][key]) for language in names) and all(
            text.count(own[language]) == 1 for language, text in texts.items()
        ):
            eligible.append(key)
    return sorted(rng.sample(eligible, min(MAX_HELD_OUT, len(everywhere) // 3, len(eligible))))


def read_units(locale: Locale) -> Iterator[str]:
    """Names of units, and amounts of them: '5 kilometers'."""
    for unit, forms in sorted(locale._data["unit_display_names"].items()):
        if "long" in forms:
            yield forms["long"]
        for amount in (1, 5):
            text = units.format_unit(amount, unit, length="long", locale=locale)
            if unit not in text:  # what Babel writes where CLDR knows no word
                yield text


def read_dates(locale: Locale, rng: random.Random, count: int) -> Iterator[str]:
    """Names of days and months, and `count` dates written out."""
    yield from (*locale.days["stand-alone"]["wide"].values(), *locale.months["stand-alone"]["wide"].values())
    for _ in range(count):
        day = datetime.date(2000, 1, 1) + datetime.timedelta(days=rng.randrange(10_000))
        yield dates.format_date(day, format=rng.choice(("full", "long")), locale=locale)


def read_lists(locale: Locale, names: list[str], rng: random.Random, count: int) -> Iterator[str]:
    """`count` lists of two or three names, joined as the language joins them."""
    for _ in range(count):
        style = rng.choice(("standard", "or"))
        yield lists.format_list(rng.sample(names, rng.randint(2, 3)), style=style, locale=locale)


def training_lines(
    language: str, names: dict[Key, str], held_out: list[Key], seed: int, date_count: int, list_count: int
) -> list[str]:
    """The distinct lines of `language` in random order: every name that is not held out, units, dates and lists."""
    rng = random.Random(f"{seed} {language}")
    locale = Locale.parse(LOCALES[language])
    known = sorted({name for key, name in names.items() if key not in set(held_out)})
    lines = [
        *known,
        *read_units(locale),
        *read_dates(locale, rng, date_count),
        *read_lists(locale, known, rng, list_count),
    ]
    distinct = sorted({clean(line) for line in lines} - {""})
    rng.shuffle(distinct)
    return distinct


def without(lines: list[str], forbidden: set[str]) -> list[str]:
    """The `lines` that contain none of the `forbidden` strings, upper and lower case being the same."""
    folded = "\n".join(line.casefold() for line in lines)
    present = [text for text in sorted(forbidden) if text in folded]  # one fast search each; few are ever found
    return [line for line in lines if not any(text in line.casefold() for text in present)]


def build(
    languages: tuple[str, ...], seed: int, date_count: int = 200, list_count: int = 400
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the training lines of every language and its held-out names, in the same order of keys everywhere."""
    names = {language: read_names(language) for language in languages}
    held_out = choose_held_out(names, random.Random(seed))
    queries = {language: [table[key] for key in held_out] for language, table in names.items()}
    forbidden = {name.casefold() for column in queries.values() for name in column}
    training = {}
    for language, table in names.items():
        lines = training_lines(language, table, held_out, seed, date_count, list_count)
        training[language] = without(lines, forbidden)
        text = "\n".join(training[language]).casefold()
        assert not any(name in text for name in forbidden), f"{language}: a held-out name is in the training text"
    return training, queries


def write_lines(path: Path, lines: list[str]) -> None:
    """Write `lines` to `path`, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def write(training: dict[str, list[str]], queries: dict[str, list[str]], output: Path) -> None:
    """Write `text/` and `retrieval/` under `output`."""
    for language, lines in training.items():
        write_lines(output / "text" / f"{language}.txt", lines)
    for language in queries.keys() - {ENGLISH}:
        for side in (language, ENGLISH):
            write_lines(output / "retrieval" / f"bible.{language}-{ENGLISH}.{side}", queries[side])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart"), help="default: %(default)s")
    parser.add_argument("--languages", default=",".join(DEFAULT_LANGUAGES), help="Glot500 codes; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    args = parser.parse_args()
    languages = tuple(args.languages.split(","))
    unknown = [language for language in languages if language not in LOCALES]
    if unknown or ENGLISH not in languages:
        parser.error(f"--languages takes {ENGLISH} and any of {', '.join(LOCALES)}; unknown: {unknown or 'none'}")
    training, queries = build(languages, args.seed)
    write(training, queries, args.output)
    for language, lines in training.items():
        print(f"{language}: {len(lines):,} lines to train on, {len(queries[language])} names held out")


if __name__ == "__main__":
    main()
