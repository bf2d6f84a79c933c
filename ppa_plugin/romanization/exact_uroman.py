"""uroman as its own command line romanizes, to the byte, in parts that can be romanized once and looked up after.

What uroman does. Its command line makes `Uroman(cache_size=65536)`. With a cache uroman splits a line at runs of
spaces, at ideographic full stops and at tshegs, each with the dots, commas and semicolons around it, and romanizes what
lies between and the delimiters themselves, each on its own. `Uroman()`, the default constructor, has no cache and does
not split; it differs by a space on about one Chinese line in 200. Each split copies the rest of the line.

What a part's romanization depends on: the part and the language code, nothing else. Neither the neighbouring parts nor
what was romanized before matter, be the cache empty, warm or full: all that an `Uroman` keeps are results under keys
that determine them. (The one key that is too small in principle, that of the default vowels of an abugida, ignores
whether the rule was for one character; but every rule that this is about, of Khmer, is for one character.) There is one
exception, in uroman itself: for contracted English Braille (`-l eng`) it has two readings of equal rank and takes the
one that comes first in a set ordered by memory addresses, so that it does not agree with itself from call to call.

What is done here instead. The line is split in linear time. A part is split once more between two characters that are
free of context (`context_free`): most ideographs, Hangul and Ethiopic syllables. That makes parts of scripts without
spaces repeat. Where a character has context (Thai, Lao, Burmese, numbers, alphabets) nothing is cut. What is left to
romanize goes through uroman's own code, in a private copy of its module that differs in three things that do not reach
the result: patterns are looked up without the cost of the `regex` package's own look-up (half of uroman's time), the
search for Braille is made once a part rather than once a character, and tables do not grow with every miss.
"""

import functools
import importlib.util
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from types import ModuleType
from typing import Any

import regex

from ppa_plugin.commandline import UserError

_RELEASE = "1.3.1.1"  # the one whose code this file knows
_DELIMITER = r"(?:(?<![.,; ])[.,; ]*[ 。་]|[。་])[.,; ]*"
_BRAILLE = re.compile(r"[\u2800-\u28FF]")
_CUT_SCRIPTS = ("CJK", "Hangul", "Ethiopic")
_HANGUL = [chr(code) for code in range(0xAC00, 0xD7A4)]
# Python refuses to read a number of more than 4300 digits, and uroman with it.
_LONGEST_ASCII = 4000
# What is longer is not rescued: a number of calls that grows with the length, each of which does too.
_LONGEST_RESCUED = 300


class Uroman:
    """uroman in its cached mode; holds no text, `split` says what can be kept."""

    version = metadata.version("uroman")

    def __init__(self) -> None:
        if self.version != _RELEASE:
            raise UserError(f"uroman {self.version} is installed, expected {_RELEASE}: pip install uroman=={_RELEASE}")
        module = _private_module()
        # -1: with a cache, so that what a character decomposes into is split as well, but nothing is put into it
        self._uroman = _with_fixed_tables(module.Uroman(cache_size=-1))
        self._text, self._edges = module.RomFormat.STR, module.RomFormat.EDGES
        free = _character_class(context_free(self._uroman))
        self._at_delimiters = re.compile(f"({_DELIMITER})")
        self._pair = re.compile(f"{free}{{2}}")
        self._everywhere = re.compile(f"({_DELIMITER}|(?<={free})(?={free}))")

    def split(self, line: str) -> list[str]:
        """The parts of a line without `\\n`: romanized one by one and joined they are the line's romanization."""
        # a Braille sign for capitals reaches any number of characters ahead
        if self._pair.search(line) and not _BRAILLE.search(line):
            return self._everywhere.split(line)
        return self._at_delimiters.split(line)

    def romanize(self, line: str, lang: str | None) -> str:
        """Romanize a line without `\\n`; raises what uroman raises."""
        if line.isascii() and len(line) <= _LONGEST_ASCII:
            return line
        romanize = self._uroman.romanize_string_core
        return "".join([romanize(part, lang or None, self._text) for part in self.split(line)])

    def edges(self, line: str, lang: str | None) -> list[tuple[int, str]]:
        """What `romanize` gives, as edges: how many characters, and the letters that these became."""
        if line.isascii() and len(line) <= _LONGEST_ASCII:
            return [(1, character) for character in line]
        edges = []
        for part in self.split(line):
            end = 0
            for edge in self._uroman.romanize_string_core(part, lang or None, self._edges):
                if edge.start > end:  # uroman has no edge there, and so no letters
                    edges.append((edge.start - end, ""))
                edges.append((edge.end - edge.start, edge.txt))
                end = edge.end
            if len(part) > end:
                edges.append((len(part) - end, ""))
        return edges

    def rescue(self, text: str, lang: str | None) -> str:
        """Romanize a text that uroman raises on: what it raises on by its characters, the rest as uroman would.

        It raises on a number before 分之 that no other number follows. Where is found by trying: from the last place on
        from which uroman raises, to the first up to which it then does. Raises what uroman raises where that is a
        single character, or the text is too long to try.
        """
        if len(text) > _LONGEST_RESCUED or not self._raises(text, lang):
            return self.romanize(text, lang)
        start = next(i for i in reversed(range(len(text))) if self._raises(text[i:], lang))
        end = next(i for i in range(start + 1, len(text) + 1) if self._raises(text[start:i], lang))
        characters = "".join(self.romanize(character, lang) for character in text[start:end])
        return self.rescue(text[:start], lang) + characters + self.romanize(text[end:], lang)

    def _raises(self, text: str, lang: str | None) -> bool:
        try:
            self.romanize(text, lang)
        except MemoryError:
            raise
        except Exception:  # whatever it is
            return True
        return False


def context_free(uroman: Any) -> list[str]:
    """The characters between any two of which uroman's input can be cut, in order.

    Such a character has one romanization, whatever the language and wherever it stands, it is nothing but a letter to
    its neighbours, and nothing looks past it: uroman finds the ends of words by `isalpha`, those of syllables and the
    vowels of Thai by the neighbour's rules, numbers by the neighbour's value. So: a letter that is in no rule of
    several characters, in no number and no sign, with unrestricted rules only, all of the same small Latin letters with
    a vowel among them. And it is of one of three scripts: what uroman's code does to single characters (kana that
    double or lengthen, capitals, default vowels, Tibetan and Thai vowels) it does to those of others.
    """
    in_longer_rules = {
        character for text, rules in uroman.rom_rules.items() if rules and len(text) > 1 for character in text
    }
    signs = {character for sign in (*uroman.minus_signs, *uroman.plus_signs) for character in sign}

    def is_free(character: str) -> bool:
        rules = uroman.rom_rules[character]
        return (
            character.isalpha()
            and uroman.chr_script_name(character) in _CUT_SCRIPTS
            and character <= "\uffff"  # a character class of others is slow in `re`
            and character not in in_longer_rules
            and character not in signs
            and not uroman.num_props[character]
            and not character.isnumeric()
            and not any(rule["n-restr"] or rule["t-at-end-of-syllable"] for rule in rules)
            and len({rule["t"] for rule in rules}) == 1
            and re.fullmatch("[a-z]*[aeiou][a-z]*", rules[0]["t"] or "") is not None
        )

    # Hangul syllables have no rules: uroman computes them, and adds a vowel to each.
    hangul = [syllable for syllable in _HANGUL if not uroman.rom_rules[syllable] and syllable not in in_longer_rules]
    single = [text for text in uroman.rom_rules if len(text) == 1]
    return sorted({*hangul, *filter(is_free, single)})


class _CompiledOnce:
    """Stands in for the `regex` package: its functions, each pattern's compiled form in a dict.

    `regex.match` and the like spend ten times as long on finding the compiled pattern as on matching.
    """

    def __init__(self) -> None:
        self.match = self._function("match")
        self.search = self._function("search")
        self.sub = self._function("sub")

    def __getattr__(self, name: str) -> Any:
        return getattr(regex, name)

    @staticmethod
    def _function(name: str) -> Callable[..., Any]:
        method = functools.cache(lambda pattern: getattr(regex.compile(pattern), name))
        return lambda pattern, *arguments: method(pattern)(*arguments)


class _FixedTable(dict):
    """A table that answers for what it lacks, as a defaultdict does, without keeping the question."""

    def __init__(self, table: dict[Any, Any], default: Any) -> None:
        super().__init__(table)
        self._default = default

    def __missing__(self, key: Any) -> Any:
        return self._default


def _private_module() -> ModuleType:
    """A copy of uroman's module for this file alone; who imports uroman gets it as it is."""
    spec = importlib.util.find_spec("uroman.uroman")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.regex = _CompiledOnce()
    module.Lattice.check_for_scripts = _check_for_scripts
    return module


def _with_fixed_tables(uroman: Any) -> Any:
    """`uroman`, loaded, with the tables that it fills with every substring it looks up replaced by fixed ones."""
    uroman.dict_bool = _FixedTable(uroman.dict_bool, False)
    uroman.rom_rules = _FixedTable({text: rules for text, rules in uroman.rom_rules.items() if rules}, ())
    # called for what a character decomposes into: as many as Unicode has decompositions
    uroman.romanize_string = functools.cache(uroman.romanize_string)
    return uroman


def _check_for_scripts(lattice: Any) -> None:
    """uroman's own, which searches the whole text for Braille at each of its characters."""
    for character in lattice.s:
        lattice.contains_script[lattice.uroman.chr_script_name(character)] = True
    if _BRAILLE.search(lattice.s):
        lattice.contains_script["Braille"] = True


def _character_class(characters: Iterable[str]) -> str:
    """A pattern that matches one of these characters, given in order."""
    ranges: list[list[str]] = []
    for character in characters:
        if ranges and ord(character) == ord(ranges[-1][1]) + 1:
            ranges[-1][1] = character
        else:
            ranges.append([character, character])
    return "[" + "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in ranges) + "]"
