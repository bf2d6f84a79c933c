"""A model as both directories hold it, read from either of them, and the one that fairseq trains from."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import checkpoint, hugging_face, names, tokenizer
from ppa_plugin.convert.to_hf import convert
from ppa_plugin.data import vocabulary

FAIRSEQ_FILES = ("model.pt", "dict.txt", hugging_face.SENTENCEPIECE, "hf")


@dataclass(frozen=True)
class Encoder:
    """An XLM-R with its masked-LM head and its tokenizer.

    Args:
        state: the parameters, under fairseq's names, in the type that they came in.
        config: Hugging Face's config.json.
        sentencepiece: the tokenizer's file.
        source: the Hugging Face model that it comes from, as the user named it.
        added_pieces: how many sub-words its vocabulary has been extended by.
    """

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    sentencepiece: Path
    source: str
    added_pieces: int = 0

    @property
    def vocabulary_size(self) -> int:
        """Rows of the embedding matrix."""
        return self.state[names.EMBED_TOKENS].shape[0]

    @property
    def flags(self) -> str:
        """The sizes as flags of `fairseq-train`."""
        sizes = checkpoint.model_settings(self.config)
        flags = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads")
        return " ".join(f"--{flag.replace('_', '-')} {sizes[flag]}" for flag in (*flags, "max_positions"))


def read_hugging_face(model: str) -> Encoder:
    """Read a Hugging Face directory or fetch it from the hub.

    Raises `UserError` where something is missing or is not what fairseq's encoder computes alike.
    """
    source = hugging_face.locate(model)
    config = hugging_face.read_config(source)
    hugging_face.check_config(config, source)
    pieces = source / hugging_face.SENTENCEPIECE
    if not pieces.is_file():
        raise UserError(
            f"{source} holds no {hugging_face.SENTENCEPIECE}; copy the one that the model was trained with there "
            "(Transformers 5 leaves it out of what it saves)"
        )
    weights = hugging_face.read_weights(source)
    names.check_finite(weights, str(source))
    state = names.to_fairseq(weights, str(source))
    hugging_face.check_shapes(weights, config, str(source))
    encoder = Encoder(state, config, pieces, model)
    tokenizer.check_size(pieces, encoder.vocabulary_size, source)
    _warn_of_epsilon(config, source)
    return encoder


def read_fairseq(directory: Path) -> Encoder:
    """Read the directory that `write_fairseq` writes. Raises `UserError` where something is missing or torn."""
    path = directory / "model.pt"
    converted = convert(path, str(directory))
    source = converted.origin.get("source") or str(directory)
    added_pieces = converted.origin.get("added_pieces", 0)
    return Encoder(
        names.to_fairseq(converted.state, str(path)), converted.config, converted.pieces, source, added_pieces
    )


def write_fairseq(encoder: Encoder, directory: Path) -> None:
    """Write model.pt, dict.txt, sentencepiece.bpe.model and hf/ (config and tokenizer) to an empty directory."""
    content = checkpoint.build(encoder.state, encoder.config, encoder.source, encoder.added_pieces)
    torch.save(content, directory / "model.pt")
    vocabulary.write_dictionary(encoder.sentencepiece, directory / "dict.txt")
    shutil.copyfile(encoder.sentencepiece, directory / hugging_face.SENTENCEPIECE)
    (directory / "hf").mkdir()
    hugging_face.write_config(directory / "hf", encoder.config)
    tokenizer.write_tokenizer(directory / "hf", encoder.sentencepiece)


def _warn_of_epsilon(config: dict[str, Any], source: Path) -> None:
    epsilon = config.get("layer_norm_eps", 1e-12)
    if epsilon != hugging_face.LAYER_NORM_EPS:
        sys.stderr.write(
            f"warning: {source}/config.json has layer_norm_eps {json.dumps(epsilon)}; fairseq computes with "
            f"{hugging_face.LAYER_NORM_EPS}, so outputs differ slightly\n"
        )
