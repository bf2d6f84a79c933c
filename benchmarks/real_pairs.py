"""Pairs of token indices with the length distribution of real text, for the benchmarks.

From a shard that ppa-preprocess made, or from plain text: romanized by uroman, cut by a SentencePiece model trained on
both sides of that very text. What a token is does not matter for speed, how many there are does.
"""

import io
from pathlib import Path

import numpy as np
import sentencepiece
from measure import train_sentencepiece

from ppa_plugin.commandline import UserError
from ppa_plugin.data.blocks import BlockAligner
from ppa_plugin.data.masking import EOS, STREAMS, Masking
from ppa_plugin.data.paired_dataset import PairedDataset
from ppa_plugin.data.shards import find_beside, language_directories, load_pair
from ppa_plugin.data.training_blocks import TrainingBlocks, lettered
from ppa_plugin.data.vocabulary import SPECIALS, load_dictionary, pieces, to_indices
from ppa_plugin.files import read_lines
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.text_file import romanize_rows

# On SIB-200's training text of nine languages this gives 184 real tokens a pair over the three streams.
PIECES = 16_000


class Rows(list):
    """Rows of token indices in memory, as the indexed datasets of fairseq give them."""

    @property
    def sizes(self) -> np.ndarray:
        return np.array([len(row) for row in self])


def from_text(directory: Path, languages: list[str], vocabulary: int, group: int | None = None) -> PairedDataset:
    """Pairs of the lines of `<lang>.txt` or `<lang>/train.tsv` (its column `text`); no languages named: all there.

    With `group`, with their token blocks, for --tok-negatives of that many.
    """
    languages = languages or sorted({path.name.removesuffix(".txt") for path in directory.iterdir()})
    lines = [line for lang in languages for line in _lines(directory, lang)]
    rows = list(romanize_rows(lines, Romanization("uroman", edges=bool(group)), workers=2))
    latn = [romanized for _, romanized, *_ in rows]
    model = io.BytesIO()
    train_sentencepiece([*lines, *latn], min(PIECES, vocabulary - 2), model_writer=model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    sides = [Rows([np.append(to_indices(ids), EOS) for ids in processor.encode(side)]) for side in (lines, latn)]
    pairs = PairedDataset(*sides, Masking(vocabulary), STREAMS)
    if group:
        aligner = BlockAligner(processor)
        blocks = aligner.blocks(aligner.encode(lines), aligner.encode(latn), [row[3] for row in rows]).rows()
        symbols = [*SPECIALS, *pieces(processor), "<mask>"]
        known = np.append(lettered(symbols), np.zeros(max(vocabulary - len(symbols), 0), dtype=bool))
        pairs.blocks = TrainingBlocks([np.frombuffer(row, dtype=np.uint8) for row in blocks], known, group)
    return pairs


def from_shard(shard: Path, vocabulary: int) -> PairedDataset:
    """The training pairs of all languages of one shard; its tokens are those of its own dictionary."""
    dictionary = load_dictionary(find_beside(shard, "dict.txt"))
    pairs = [load_pair(directory, "train", dictionary) for directory in language_directories(shard, "train")]
    sides = [Rows([np.asarray(row) for pair in pairs for row in pair[side]]) for side in ("orig", "latn")]
    return PairedDataset(*sides, Masking(max(vocabulary, len(dictionary))), STREAMS)


def with_mean_length(pairs: PairedDataset, tokens: int) -> PairedDataset:
    """The same text, joined or cut into sides of `tokens` tokens each, specials included."""
    sides = []
    for side in (pairs.orig, pairs.latn):
        text = np.concatenate([np.asarray(side[i])[:-1] for i in range(len(side))])
        rows = text[: len(text) // (tokens - 2) * (tokens - 2)].reshape(-1, tokens - 2)
        sides.append([np.append(row, EOS) for row in rows])
    count = min(map(len, sides))
    if not count:
        raise UserError(f"the text is shorter than one side of {tokens} tokens; take more of it")
    return PairedDataset(*(Rows(side[:count]) for side in sides), pairs.masking, STREAMS)


def _lines(directory: Path, lang: str) -> list[str]:
    plain, table = directory / f"{lang}.txt", directory / lang / "train.tsv"
    if plain.is_file():
        return list(read_lines(plain))
    if not table.is_file():
        raise UserError(f"--text: neither {plain} nor {table} exists")
    header, *rows = (line.split("\t") for line in read_lines(table))
    return [row[header.index("text")] for row in rows]
