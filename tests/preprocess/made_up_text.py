"""Made-up sentences in many scripts, and a romanizer that needs no data."""

import random
from pathlib import Path

import regex

ALPHABETS = {
    "tur_Latn": "abcçdefgğhıijklmnoöprsştuüvyz",
    "ell_Grek": "αβγδεζηθικλμνξοπρστυφχψω",
    "rus_Cyrl": "абвгдежзийклмнопрстуфхцчшщыьэюя",
    "fas_Arab": "ابپتثجچحخدذرزسشصطعغفقکگلمنوهی",
    "heb_Hebr": "אבגדהוזחטיכלמנסעפצקרשת",
    "kor_Hang": "가나다라마바사아자차카타파하고노도로모보소",
    "zho_Hani": "天地人山水火木金土日月年大小中上下左右",
    "amh_Ethi": "ሀለሐመሠረሰቀበተኀነአከወዐዘየደገጠ",
}
UNDIGESTIBLE = "十分之"


class StubRomanizer:
    """Turns letters into Latin ones; like uroman, it stumbles over one sequence of characters."""

    version = "1"

    def romanize(self, line: str, lang: str | None) -> str:
        if UNDIGESTIBLE in line:
            raise AttributeError("'Edge' object has no attribute 'value'")
        if "ﷺ" in line:
            return "two\nlines"
        return "".join(chr(ord("a") + ord(c) % 26) if c.isalpha() and c > "\x7f" else c for c in line)

    def edges(self, line: str, lang: str | None) -> list[tuple[int, str]]:
        """Each character became a letter, where there are as many of both; the line became the letters, elsewhere."""
        latn = self.romanize(line, lang)
        return [(1, letter) for letter in latn] if len(latn) == len(line) else [(len(line), latn)]


def sentences(lang: str, count: int) -> list[str]:
    """Made-up sentences of a language: always the same, words of unequal frequency, all different."""
    chance = random.Random(lang)
    words = ["".join(chance.choices(ALPHABETS[lang], k=chance.randint(1, 6))) for _ in range(60)]
    return [" ".join(chance.choices(words, k=chance.randint(2, 9))) + f" {number}" for number in range(count)]


def write_corpus(folder: Path, corpus: dict[str, list[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for lang, lines in corpus.items():
        (folder / f"{lang}.txt").write_bytes("".join(f"{line}\n" for line in lines).encode())
    return folder


def write_group(path: Path, languages, **settings) -> Path:
    options = {"name": "made_up", "shards": 2, "valid_size": 10, "romanizer": "{name: stub}"} | settings
    rows = [f"{key}: {value}" for key, value in options.items()]
    rows += ["languages:", *(f"  {lang}: {{uroman: null}}" for lang in languages)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def seen(line: str) -> str:
    """The line without what is not seen at its ends, by Unicode's own properties."""
    nothing = r"[\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]*"
    return regex.fullmatch(rf"{nothing}(.*?){nothing}", line, regex.DOTALL)[1]


def tree(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
