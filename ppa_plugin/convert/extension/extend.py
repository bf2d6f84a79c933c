"""`ppa-convert extend`: sub-words of romanized text for tokenizer, dictionary, embedding and head of a model."""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ppa_plugin.commandline import UserError, say
from ppa_plugin.convert.extension import new_pieces, new_rows, romanized_vocabulary
from ppa_plugin.convert.hugging_face import SENTENCEPIECE
from ppa_plugin.convert.to_fairseq import FAIRSEQ_FILES, Encoder, read_fairseq, read_hugging_face, write_fairseq
from ppa_plugin.files import check_free, directory_beside
from ppa_plugin.model import names

_MEASURED_LINES = 10_000


class _Added(NamedTuple):
    scores: dict[str, float]  # of each new piece, in the order of their ids
    parts: dict[str, list[int]]  # of each the rows that its own is the mean of
    said: str  # what there is to tell of them
    transmi: str = ""  # how those that are of the vocabulary itself were merged


def run(args: argparse.Namespace) -> None:
    """What the flags of `ppa-convert extend` say. Raises `UserError`."""
    check_free(args.output, FAIRSEQ_FILES, args.overwrite)
    files = new_pieces.find_files(args.text or ())
    directory = Path(args.model)
    encoder = read_fairseq(directory) if (directory / "model.pt").is_file() else read_hugging_face(args.model)
    base = new_pieces.Pieces(encoder.sentencepiece)
    lines = _read(files, args) if files else []
    added = _of_text(base, lines, args) if files else _of_vocabulary(base, args.init)
    with tempfile.TemporaryDirectory() as scratch, directory_beside(args.output) as fresh:
        sentencepiece = Path(scratch) / SENTENCEPIECE
        sentencepiece.write_bytes(base.extended(added.scores).SerializeToString())
        write_fairseq(_extended(encoder, sentencepiece, added), fresh)
        fewer = _tokens_per_word(encoder.sentencepiece, sentencepiece, lines) if lines else ""
    say(f"wrote {args.output}: vocabulary {encoder.vocabulary_size:,} + {len(added.scores):,}\n{fewer}{added.said}")
    say(encoder.flags)


def _read(files: list[Path], args: argparse.Namespace) -> list[str]:
    lines = new_pieces.sample_lines(files, args.lines)
    if not lines:
        raise UserError(f"--text {' '.join(args.text)}: no line of text")
    return lines


def _of_text(base: new_pieces.Pieces, lines: list[str], args: argparse.Namespace) -> _Added:
    """Sub-words of a text."""
    scores = new_pieces.choose_pieces(base, lines, args.pieces)
    romanizing = romanized_vocabulary.romanizing(base, scores) if args.init == "romanized" else {}
    said = f"first values: {len(romanizing):,} by romanization, {len(scores) - len(romanizing):,} by merging"
    return _Added(scores, new_rows.merged(base, scores) | romanizing, said)


def _of_vocabulary(base: new_pieces.Pieces, merge: str) -> _Added:
    """Romanizations of the vocabulary's own pieces."""
    found = romanized_vocabulary.romanized_pieces(base)
    count, several = sum(map(len, found.values())), sum(len(ids) > 1 for ids in found.values())
    said = f"romanizations of {count:,} pieces; {several:,} are those of several, merged by their {merge}"
    return _Added(*romanized_vocabulary.transmi(base, found, merge), said, merge)


def _tokens_per_word(old: Path, new: Path, lines: list[str]) -> str:
    measured = lines[:: -(-len(lines) // _MEASURED_LINES)]
    before, after = (new_pieces.tokens_per_word(path, measured) for path in (old, new))
    return f"tokens per word of the text: {before:.3f} before, {after:.3f} now ({len(measured):,} lines)\n"


def _extended(encoder: Encoder, sentencepiece: Path, added: _Added) -> Encoder:
    parts = [added.parts[piece] for piece in added.scores]
    state = new_rows.insert_rows(encoder.state, parts, encoder.padding_rows)
    return replace(
        encoder,
        state=state,
        config={**encoder.config, "vocab_size": state[names.EMBED_TOKENS].shape[0]},
        sentencepiece=sentencepiece,
        added_pieces=encoder.added_pieces + len(parts),
        transmi=added.transmi or encoder.transmi,
        padding_rows=max(encoder.padding_rows - len(parts), 0),
    )
