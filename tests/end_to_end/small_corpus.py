"""A corpus of two languages, 24 sentences each, and its group file, for tests of a user's whole path."""

from pathlib import Path

import yaml

WORDS = {
    "ell_Grek": ["πόλη", "θάλασσα", "βουνό", "ποτάμι", "χωριό", "δρόμος", "νησί", "λιμάνι"],
    "heb_Hebr": ["עיר", "ים", "הר", "נהר", "כפר", "רחוב", "אי", "נמל"],
    "eng_Latn": ["city", "sea", "mountain", "river", "village", "street", "island", "harbour"],
}
LANGUAGES = ("ell_Grek", "heb_Hebr")


def sentences(lang: str, count: int) -> list[str]:
    words = WORDS[lang]
    return [f"{words[i % 8]} {words[i // 8 % 8]} {words[(i * 5 + 3) % 8]} {i}" for i in range(count)]


def write_corpus(work: Path) -> None:
    """Write `work/corpus` and `work/group.yaml`."""
    (work / "corpus").mkdir()
    for lang in LANGUAGES:
        (work / "corpus" / f"{lang}.txt").write_text("\n".join(sentences(lang, 24)) + "\n", encoding="utf-8")
    group = {
        "name": "tiny",
        "seed": 1,
        "shards": 1,
        "valid_size": 4,
        "sampling": {"share": 1.0, "min_lines": 10},
        "languages": {lang: {"uroman": None} for lang in LANGUAGES},
    }
    (work / "group.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
