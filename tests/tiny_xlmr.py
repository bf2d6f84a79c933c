"""Sizes of the random XLM-R and of the SentencePiece model that tests of several packages make."""

from pathlib import Path
from typing import Any

import sentencepiece

from ppa_plugin.evaluation.encoder.loading import import_transformers


def tiny_config(entries: int, positions: int = 514) -> Any:
    """Transformers' configuration of an XLM-R of 3 blocks of 16, as fairseq computes it."""
    return import_transformers().XLMRobertaConfig(
        vocab_size=entries,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=positions,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )


def train_pieces(sentences: list[str], size: int, path: Path) -> Path:
    """A SentencePiece model laid out as XLM-R's, trained on the sentences; `path`, where it goes, ends in .model."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 3),
        model_prefix=str(path.with_suffix("")),
        vocab_size=size,
        model_type="unigram",
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return path
