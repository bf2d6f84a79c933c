"""`ppa-convert extend`: sub-words of romanized text for tokenizer, dictionary, embedding and head of a model."""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from ppa_plugin.commandline import UserError, say
from ppa_plugin.convert.extension import new_pieces, new_rows
from ppa_plugin.convert.hugging_face import SENTENCEPIECE
from ppa_plugin.convert.to_fairseq import FAIRSEQ_FILES, Encoder, read_fairseq, read_hugging_face, write_fairseq
from ppa_plugin.files import check_free, directory_beside
from ppa_plugin.model import names

_MEASURED_LINES = 10_000


def run(args: argparse.Namespace) -> None:
    """What the flags of `ppa-convert extend` say. Raises `UserError`."""
    check_free(args.output, FAIRSEQ_FILES, args.overwrite)
    files = new_pieces.find_files(args.text)
    directory = Path(args.model)
    encoder = read_fairseq(directory) if (directory / "model.pt").is_file() else read_hugging_face(args.model)
    lines = new_pieces.sample_lines(files, args.lines)
    if not lines:
        raise UserError(f"--text {' '.join(args.text)}: no line of text")
    base = new_pieces.Pieces(encoder.sentencepiece)
    scores = new_pieces.choose_pieces(base, lines, args.pieces)
    parts = new_rows.merged(base, scores)
    by_romanization = new_rows.romanizing(base, scores) if args.init == "romanized" else {}
    with tempfile.TemporaryDirectory() as scratch, directory_beside(args.output) as fresh:
        sentencepiece = Path(scratch) / SENTENCEPIECE
        sentencepiece.write_bytes(base.extended(scores).SerializeToString())
        extended = _extended(encoder, sentencepiece, [by_romanization.get(piece, parts[piece]) for piece in scores])
        write_fairseq(extended, fresh)
        measured = lines[:: -(-len(lines) // _MEASURED_LINES)]
        before, after = (new_pieces.tokens_per_word(p, measured) for p in (encoder.sentencepiece, sentencepiece))
    say(f"wrote {args.output}: vocabulary {encoder.vocabulary_size:,} + {len(scores):,}")
    say(f"tokens per word of the text: {before:.3f} before, {after:.3f} now ({len(measured):,} lines)")
    say(f"first values: {len(by_romanization):,} by romanization, {len(scores) - len(by_romanization):,} by merging")
    say(extended.flags)


def _extended(encoder: Encoder, sentencepiece: Path, parts: list[list[int]]) -> Encoder:
    state = new_rows.insert_rows(encoder.state, parts, encoder.padding_rows)
    return replace(
        encoder,
        state=state,
        config={**encoder.config, "vocab_size": state[names.EMBED_TOKENS].shape[0]},
        sentencepiece=sentencepiece,
        added_pieces=encoder.added_pieces + len(parts),
        padding_rows=max(encoder.padding_rows - len(parts), 0),
    )
