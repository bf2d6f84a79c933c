"""How often a block of tokens finds its romanization at each layer: whether tokens are aligned, as `--tok-weight` asks.

The blocks are those that training takes (`ppa_plugin.data.training_blocks`), of held-out text that is romanized here.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import numpy as np

from ppa_plugin.commandline import UserError, align, progress
from ppa_plugin.data.blocks import DTYPE, BlockAligner
from ppa_plugin.data.masking import SIDES
from ppa_plugin.data.training_blocks import TrainingBlocks, lettered
from ppa_plugin.data.vocabulary import MASK, SPECIALS, entries, pieces
from ppa_plugin.evaluation.analysis.nearest import Settings, SpanPair, cosines, layer_values, measure
from ppa_plugin.evaluation.analysis.records import Record, record
from ppa_plugin.evaluation.analysis.sentence_sample import Sample, draw_alone
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.encoder.sentencepiece_tokenizer import SentencePieceTokenizer
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.evaluation.tables import percent
from ppa_plugin.romanization.by_language import Romanizers
from ppa_plugin.romanization.by_part import Romanization, load_romanizer
from ppa_plugin.romanization.text_file import romanize_rows

# blocks of a pair whose map is easily read; the first drawn pair that has as many is shown
_ON_A_MAP = range(6, 17)
# of a cosine on a map: where all vectors point one way they differ by little
_DIGITS = 6


class BlockPair(NamedTuple):
    """A sentence and its romanization: the sentence's number in its set, the texts, and their blocks."""

    number: int
    texts: tuple[str, str]
    spans: SpanPair


def block_pairs(
    sample: Sample, romanization: Romanization, tokenizer: SentencePieceTokenizer, most: int
) -> list[BlockPair]:
    """The sentences of a sample that have blocks; `most` is the number of tokens of a side that the model takes."""
    rows = list(romanize_rows(sample.sentences, replace(romanization, edges=True), workers=1))
    orig, latn, marked = ([row[column] for row in rows] for column in (0, 1, 3))
    aligner = BlockAligner(tokenizer.processor)
    encoded = aligner.encode(orig), aligner.encode(latn)
    aligned = [np.frombuffer(row, dtype=DTYPE) for row in aligner.blocks(*encoded, marked, most).rows()]
    symbols = [*SPECIALS, *entries(pieces(tokenizer.processor)), MASK]
    blocks = TrainingBlocks(aligned, lettered(symbols), group=1)
    of_sides = zip(*(np.split(side.indices, np.cumsum(side.counts)[:-1]) for side in encoded), strict=True)
    found = []
    for place, (number, text, romanized, sides) in enumerate(zip(sample.numbers, orig, latn, of_sides, strict=True)):
        tokens = tuple(side[:most] for side in sides)
        chosen = blocks.of_pair(place, tokens, most)
        if count := len(chosen["blocks"]):
            spans, hashes = chosen["blocks"].transpose(1, 0, 2), chosen["block_texts"].T
            own = np.eye(count, dtype=bool)
            found.append(BlockPair(number, (text, romanized), SpanPair(tokens, tuple(spans), tuple(hashes), own)))
    return found


class Text(NamedTuple):
    """What was drawn of a language: how many sentences, those that have blocks, and the SHA-256 of their files.

    `romanizers` are those of all languages of the run.
    """

    task: str
    language: str
    sentences: int
    pairs: list[BlockPair]
    data_sha256: str
    romanizers: Romanizers


def with_edges(languages: Sequence[str], romanizers: Romanizers) -> list[str]:
    """The languages whose romanizer says which characters became which letters; a note names the others.

    Raises `UserError` where there are none: without that there are no blocks, in training neither.
    """
    without = [lang for lang in languages if not hasattr(load_romanizer(romanizers.of(lang).name), "edges")]
    if without:
        names = " and ".join(dict.fromkeys(romanizers.of(language).name for language in without))
        reason = f"no blocks in {', '.join(without)}: {names} does not say which characters became which letters"
        if len(without) == len(languages):
            raise UserError(f"{reason}; give these languages another --romanizer")
        sys.stderr.write(f"note: {reason}\n")
    return [language for language in languages if language not in without]


def read(
    data: RetrievalSet,
    languages: Sequence[str],
    romanizers: Romanizers,
    encoder: SentenceEncoder,
    settings: Settings,
) -> list[Text]:
    """The texts of a task's languages, romanized. Raises `UserError` as `draw` does, and where none has a block."""
    texts = []
    for language in progress(languages, "romanizing", total=len(languages), unit="language"):
        sample, digest = draw_alone(data, language, settings.sentences, settings.seed)
        pairs = block_pairs(sample, romanizers.of(language), encoder.tokenizer, encoder.max_length - 2)
        texts.append(Text(data.task, language, len(sample.sentences), pairs, digest, romanizers))
    if not any(text.pairs for text in texts):
        raise UserError(
            f"{data.directory}: no block of tokens in the {data.task} text in {', '.join(languages)}; its romanization "
            "is written alike, so name languages of other scripts with --languages"
        )
    return texts


def measure_text(encoder: SentenceEncoder, model: Model, text: Text, settings: Settings) -> list[Record]:
    """The `tokens` records of a text, one a layer."""
    spans = [pair.spans for pair in text.pairs]
    found = measure(encoder, spans, settings, f"tokens {text.language}")
    counts = {"blocks": found[0].runs, "pairs": len(spans), "pairs_without": text.sentences - len(spans)}
    made = {"group": settings.group, "seed": settings.seed, "depth": encoder.depth}
    made |= {"romanizer": str(text.romanizers)}
    return [
        record("tokens", model, text.data_sha256, **_which(text), **values, **counts, **made)
        for values in layer_values(encoder, found, SIDES, settings)
    ]


def map_record(encoder: SentenceEncoder, model: Model, text: Text, layer: int) -> Record:
    """The `token_map` record of a text: the cosines of one pair's blocks, `orig` down, `latn` across, and their texts.

    The pair is the first of which a map is easily read, else the one whose number of blocks is nearest to that.
    """
    shown = min(text.pairs, key=lambda pair: _from_readable(len(pair.spans.links)))
    vectors = encoder.encode_spans(shown.spans.tokens, shown.spans.spans)[encoder.layers.index(layer)]
    matrix = cosines(*vectors.split(len(shown.spans.links))).cpu().numpy()
    of_sides = zip(shown.texts, shown.spans.spans, strict=True)
    labels = [_block_texts(encoder.tokenizer, sentence, spans) for sentence, spans in of_sides]
    values = {"layer": layer, "number": shown.number, **dict(zip(SIDES, labels, strict=True))}
    values |= {"cosines": [[round(float(value), _DIGITS) for value in row] for row in matrix]}
    return record("token_map", model, text.data_sha256, **_which(text), **values, romanizer=str(text.romanizers))


def _which(text: Text) -> dict[str, str]:
    return {"task": text.task, "language": text.language}


def _from_readable(blocks: int) -> int:
    return max(_ON_A_MAP[0] - blocks, blocks - _ON_A_MAP[-1], 0)


def _block_texts(tokenizer: SentencePieceTokenizer, text: str, spans: np.ndarray) -> list[str]:
    """The text of each block, as SentencePiece normalises it."""
    surfaces = tokenizer.processor.encode(text, out_type=str)
    return ["".join(surfaces[start:stop]).replace("▁", " ").strip() for start, stop in spans]


def summary(records: list[Record], depth: int, without: list[str]) -> str:
    """The `tokens` records of one run as text: a language a row, a layer a column, in percent."""
    by_language: dict[str, list[Record]] = defaultdict(list)
    for entry in records:
        by_language[entry["language"]].append(entry)
    first = records[0]
    layers = [str(entry["layer"]) for entry in by_language[first["language"]]]
    rows = [["language", "pairs", "without", "blocks", "chance", *layers]]
    shares = {language: [entry["accuracy"] for entry in found] for language, found in by_language.items()}
    for language, (entry, *_) in by_language.items():
        counts = [f"{entry[name]:,}" for name in ("pairs", "pairs_without", "blocks")]
        rows.append([language, *counts, percent(entry["chance"]), *map(percent, shares[language])])
    if len(shares) > 1:
        rows.append(["mean", "", "", "", "", *(percent(fmean(layer)) for layer in zip(*shares.values(), strict=True))])
    title = f"{first['model']}: {first['task']}, {depth} layers; how often a block of tokens finds its romanization "
    lines = [f"{title}(percent), by layer; groups of {first['group']} pairs", *align(rows)]
    if without:
        lines.append(f"note: without a block, as text whose romanization is written alike: {', '.join(without)}")
    return "\n".join(lines) + "\n"
