"""SentencePiece's normaliser in the terms of the tokenizers library, so that both make the same text of every text.

SentencePiece replaces, from left to right, the longest match in its table (`precompiled_charsmap`): 가 for ᄀ ᅡ, ガ for
ｶ ﾞ, ộ for o and its two marks. The library has the table too (`Precompiled`), but looks up a grapheme cluster of up to
five bytes, where it takes the shortest match and drops what follows, and else character by character: text in NFD,
half-width kana and some of what is published comes out otherwise (tokenizers#2116). The six steps of `steps` are exact:

1. A mark CUT is set behind each match, wherever the next character could join what stands before it.
2. A mark JOINT is set between the characters of a match, so that each is a grapheme cluster of its own.
3. `Precompiled` replaces the characters one by one, which it does right.
4. JOINT is taken out again, so that the characters of a match touch each other.
5. Unicode's NFC composes them. That is what SentencePiece's table says of every match of several characters, which is
   checked; CUT keeps NFC from composing and reordering what SentencePiece leaves alone.
6. CUT is taken out.
"""

import base64
import functools
import struct
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

# Code points without a character (nor ever one: Unicode reserves them as ignorable) that end a grapheme cluster.
CUT, JOINT = "\ufff1", "\ufff2"
# What joins a grapheme cluster without being a mark: zero-width joiners, a line feed after a carriage return.
_JOINERS = "\u200c\u200d\n"
_MARKS = ("Mn", "Mc", "Me")
_VOWELS_AND_FINALS = ("\u1160", "\u11ff")  # of Hangul, conjoining
_EMOJI_MODIFIERS = range(0x1F3FB, 0x1F400)
# bits of a unit of the table's double array (darts-clone)
_LEAF, _VALUE, _LABEL, _WIDE = 1 << 8, 0x7FFFFFFF, 0x800000FF, 1 << 9


@functools.lru_cache(maxsize=4)
def steps(charsmap: bytes) -> list[dict[str, Any]]:
    """The normalizers of a `tokenizer.json` that do what SentencePiece does with this table.

    Raises `ValueError` where the table says something else of several characters than NFC of what it says of each: no
    table of SentencePiece's own does, one made of rules of somebody's own may.
    """
    if not charsmap:
        return []
    table = entries(charsmap)
    joined = [key for key in table if len(key) > 1]
    spelled_out = []
    for key in joined:
        if unicodedata.normalize("NFC", "".join(table.get(c, c) for c in key)) != table[key]:
            # of scripts that this Python's Unicode does not know yet, as the library may not
            if all(unicodedata.category(c) != "Cn" for c in key):
                raise ValueError(f"{key!r} becomes {table[key]!r}, which is not what its characters become")
            spelled_out.append(key)
    single = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    replaced = [replacement(key, table[key]) for key in sorted(spelled_out, key=len, reverse=True)]
    matches = sorted(set(joined) - set(spelled_out))
    if not matches:
        return [*replaced, single]
    follows = character_class("".join({c for key in matches for c in key[1:]} | _joining(table)))
    # a match is atomic: where nothing follows it that could join, no shorter one is tried
    match = f"(?>{regex(matches)})"
    return [
        *replaced,
        replacement(f"(?m:{match}\\K|.\\K(?={follows}))", CUT, regular=True),
        replacement(f"(?<=[^{CUT}])(?={follows})", JOINT, regular=True),
        single,
        replacement(JOINT, ""),
        {"type": "NFC"},
        replacement(CUT, ""),
    ]


def entries(charsmap: bytes) -> dict[str, str]:
    """What SentencePiece's compiled table replaces by what.

    The table is the size of a double array in bytes, the array, and the replacements, each with a zero at its end.
    """
    (size,) = struct.unpack_from("<I", charsmap)
    units = np.frombuffer(charsmap, "<u4", size // 4, 4)
    replacements = charsmap[4 + size :]
    labels = units & np.uint32(_LABEL)
    offsets = (units >> np.uint32(10)) << ((units & np.uint32(_WIDE)) >> np.uint32(6))
    places = np.flatnonzero((labels > 0) & (labels < 256))  # of the units that a byte leads to
    # each lies at the base of what it follows XOR the byte, and what follows it at its own base
    bases, own_bases, leaves = places ^ labels[places], places ^ offsets[places], units[places] & np.uint32(_LEAF)
    following: dict[int, list[tuple[bytes, int, bool]]] = {}
    for base, byte, own, leaf in zip(
        *(column.tolist() for column in (bases, labels[places], own_bases, leaves)), strict=True
    ):
        following.setdefault(base, []).append((bytes((byte,)), own, bool(leaf)))
    found: dict[str, str] = {}
    ahead = [(int(offsets[0]), b"")]
    while ahead:
        base, before = ahead.pop()
        for byte, own, leaf in following.get(base, ()):
            key = before + byte
            ahead.append((own, key))
            if leaf:
                start = int(units[own]) & _VALUE
                found[key.decode()] = replacements[start : replacements.index(b"\0", start)].decode()
    return found


def regex(words: Iterable[str]) -> str:
    """A regular expression that matches the longest of the words at a place, small where they have much in common."""
    root: dict[str, dict] = {}
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return _branches(root)


def _branches(node: dict[str, dict]) -> str:
    """What may follow at a node of the trie; characters that are followed by the same share a class."""
    by_rest: dict[str, list[str]] = {}
    for character, child in node.items():
        if character:
            by_rest.setdefault(_branches(child), []).append(character)
    if not by_rest:
        return ""
    parts = sorted(character_class("".join(characters)) + rest for rest, characters in by_rest.items())
    body = parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
    return f"(?:{body})?" if "" in node else body


@functools.lru_cache(maxsize=1 << 12)
def character_class(characters: str) -> str:
    """`[...]` of these characters, by code point, runs as ranges."""
    codes = sorted(map(ord, characters))
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    named = (f"\\x{{{first:X}}}" + (f"-\\x{{{last:X}}}" if last > first else "") for first, last in runs)
    return f"[{''.join(named)}]"


def _joining(table: dict[str, str]) -> set[str]:
    """Characters that join a grapheme cluster, or what stands before them under NFC, themselves or once replaced."""
    marks = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in _MARKS}
    first, last = _VOWELS_AND_FINALS
    conjoining = {chr(code) for code in range(ord(first), ord(last) + 1)}
    joining = marks | conjoining
    replaced = {key for key, value in table.items() if len(key) == 1 and value[:1] in joining}
    return joining | replaced | set(_JOINERS) | {chr(code) for code in _EMOJI_MODIFIERS}


def replacement(pattern: str, content: str, regular: bool = False) -> dict[str, Any]:
    """The normalizer that replaces a string, or with `regular` what a regular expression matches."""
    return {"type": "Replace", "pattern": {"Regex" if regular else "String": pattern}, "content": content}
