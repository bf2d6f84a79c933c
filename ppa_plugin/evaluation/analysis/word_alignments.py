"""How often a word finds its translation at each layer: parallel text, and word alignments that the user has of it.

Text is a line `source TAB target`, alignments are in Pharaoh's format, as fast_align, eflomal and awesome-align write
them: `0-0 1-2` links word 0 of the source to word 0 of the target, and so on; words are what white space parts.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ppa_plugin.commandline import UserError, align
from ppa_plugin.data.training_blocks import block_hashes
from ppa_plugin.evaluation.analysis.nearest import Settings, SpanPair, layer_values, measure
from ppa_plugin.evaluation.analysis.records import Record, record
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.encoder.sentencepiece_tokenizer import SentencePieceTokenizer
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.files import lines_side_by_side, sha256

_LINK = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
_SIDES = ("source", "target")


class AlignedLine(NamedTuple):
    """The words of a sentence and of its translation, and which of them are linked (S, T)."""

    words: tuple[list[str], list[str]]
    links: np.ndarray


class Text(NamedTuple):
    """A parallel text with its word alignments, the languages of its columns, and the SHA-256 of its files."""

    lines: list[AlignedLine]
    languages: tuple[str, str]
    alignments: str
    data_sha256: str


def read(text: str, alignments: str, source: str, target: str) -> Text:
    """A parallel text and its word alignments, from two files.

    Raises `UserError`, naming file and line, for a line that is not two columns, for what is no link, for a link to a
    word that is not there, and where one file has more lines.
    """
    lines = [
        _aligned(f"{text}, line {number}", row, f"{alignments}, line {number}", links)
        for number, (row, links) in enumerate(lines_side_by_side(text, alignments, "the word alignment of"), 1)
    ]
    if not lines:
        raise UserError(f"{text} is empty")
    return Text(lines, (source, target), alignments, sha256(text, alignments))


def _aligned(where: str, row: str, where_links: str, links: str) -> AlignedLine:
    columns = row.split("\t")
    if len(columns) != 2:
        raise UserError(f"{where}: {len(columns)} columns, expected two: a sentence, a tab, its translation")
    words = columns[0].split(), columns[1].split()
    linked = np.zeros((len(words[0]), len(words[1])), dtype=bool)
    for link in links.split():
        found = _LINK.fullmatch(link)
        if not found:
            raise UserError(f"{where_links}: {link[:40]!r} is no link of words such as 0-2, numbered from 0")
        places = int(found[1]), int(found[2])
        for side, place, of_side in zip(_SIDES, places, words, strict=True):
            if place >= len(of_side):
                raise UserError(
                    f"{where_links}: {link} links word {place} of the {side}, which has {len(of_side)} words, numbered "
                    f"from 0 ({where})"
                )
        linked[places] = True
    return AlignedLine(words, linked)


def word_pairs(lines: Sequence[AlignedLine], tokenizer: SentencePieceTokenizer, most: int) -> list[SpanPair]:
    """The lines that have a link; `most` is the number of tokens of a side that the model takes, words beyond left out.

    A word's tokens are those of it alone: no piece of such a tokenizer reaches across white space.
    """
    found = []
    for line in lines:
        sides = [_word_spans(words, tokenizer, most) for words in line.words]
        links = line.links[np.ix_(*(kept for *_, kept in sides))]
        if links.any():
            tokens, spans, texts, _ = zip(*sides, strict=True)
            found.append(SpanPair(tokens, spans, texts, links))
    return found


def _word_spans(words: list[str], tokenizer: SentencePieceTokenizer, most: int) -> tuple[np.ndarray, ...]:
    """The tokens (T,) of words, their runs (W, 2), hashes (W,), and which words (W,) have tokens within `most`."""
    ids = [np.array(of_word, dtype=np.int64) for of_word in tokenizer(words, add_special_tokens=False)["input_ids"]]
    counts = np.array([len(of_word) for of_word in ids], dtype=np.int64)
    stops = np.cumsum(counts)
    kept = np.flatnonzero((counts > 0) & (stops <= most))
    tokens = np.concatenate([np.zeros(0, dtype=np.int64), *(ids[word] for word in kept)])
    spans = np.stack([stops[kept] - counts[kept], stops[kept]], axis=1)
    return tokens, spans, block_hashes(tokens, spans[:, 0], counts[kept]), kept


def measure_text(encoder: SentenceEncoder, model: Model, text: Text, settings: Settings) -> list[Record]:
    """The `words` records of a parallel text, one a layer; at most `settings.sentences` of its lines are drawn.

    Raises `UserError` where no word of those is linked that the model reads.
    """
    order = np.random.default_rng(settings.seed).permutation(len(text.lines))[: settings.sentences]
    drawn = [text.lines[number] for number in order]
    pairs = word_pairs(drawn, encoder.tokenizer, encoder.max_length - 2)
    if not pairs:
        raise UserError(f"{text.alignments}: no word that the model reads is linked in the {len(drawn)} lines drawn")
    found = measure(encoder, pairs, settings, f"words {'-'.join(text.languages)}")
    counts = {"lines": len(pairs), "lines_without": len(drawn) - len(pairs)}
    for number, (side, direction) in enumerate(zip(_SIDES, found, strict=True)):
        words = sum(len(line.words[number]) for line in drawn)
        counts |= {f"{side}_words": direction.runs, f"{side}_left_out": words - direction.runs}
    made = {"group": settings.group, "seed": settings.seed, "depth": encoder.depth}
    which = dict(zip(_SIDES, text.languages, strict=True))
    return [
        record("words", model, text.data_sha256, **which, **values, **counts, **made)
        for values in layer_values(encoder, found, _SIDES, settings)
    ]


def summary(records: list[Record], depth: int) -> str:
    """The records of one run as text: a layer a row, in percent."""
    first = records[0]
    source, target = (first[side] for side in _SIDES)
    rows = [["layer", "both", f"from {source}", f"from {target}"]]
    for entry in records:
        shares = (entry[name] for name in ("accuracy", "from_source", "from_target"))
        rows.append([str(entry["layer"]), *map(percent, shares)])
    lines = [
        f"{first['model']}: {depth} layers; how often a word finds its translation (percent), {first['lines']:,} lines "
        f"in groups of {first['group']}; by chance {percent(first['chance'])}",
        *align(rows),
        f"{first['source_words']:,} words of {source} and {first['target_words']:,} of {target}; left out, as they are "
        f"linked to none that the model reads: {first['source_left_out']:,} and {first['target_left_out']:,}; lines "
        f"without links: {first['lines_without']:,}",
    ]
    return "\n".join(lines) + "\n"
