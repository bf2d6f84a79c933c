"""The one form in which lines are compared: words of letters, marks and digits, NFKC, without case."""

import unicodedata

import regex

from ppa_plugin.codes import WITHOUT_SPACES

# ISO 15924 codes that stand for several of Unicode's scripts, or for a variant of one
_NO_SCRIPTS = {"Hans", "Hant", "Hanb", "Jpan", "Hrkt"}
_ALONE = "".join(rf"\p{{Script={name}}}" for name in sorted(WITHOUT_SPACES - _NO_SCRIPTS))
_COMPARED = regex.compile(r"[[\p{L}\p{M}\p{N}]--\p{Default_Ignorable_Code_Point}]", regex.VERSION1)
_IS_ALONE = regex.compile(f"[{_ALONE}]")
_LONG_WORDS, _LONG_CHARACTERS = 8, 24


class _Parts(dict):
    """By the number of a character, what stands for it before a text is split at spaces; filled as they are met."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        part = character if _COMPARED.match(character) else " "
        self[number] = f" {part} " if _IS_ALONE.match(part) else part
        return self[number]


_PARTS = _Parts()


def words_of(text: str) -> list[str]:
    """The words of a text as they are compared; none where it has neither letter nor digit.

    The text is normalised to NFKC without case. A word is a run of letters, marks and digits; punctuation, symbols,
    white space and characters that are not seen part words and are gone. In scripts written without spaces
    (`codes.WITHOUT_SPACES`) each character is a word.
    """
    if text.isascii():
        return text.lower().translate(_PARTS).split()
    # without case some characters are no longer normalised
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return text.translate(_PARTS).split()


def is_long(words: list[str]) -> bool:
    """Whether a line of these words is looked for within other lines too.

    It has 8 words, or 24 characters of a script written without spaces, three of which count for a word.
    """
    alone = sum(_IS_ALONE.match(word) is not None for word in words)
    return (len(words) - alone) * _LONG_CHARACTERS + alone * _LONG_WORDS >= _LONG_WORDS * _LONG_CHARACTERS
