"""A model as both directories hold it, read from either of them, and the one that fairseq trains from."""

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import hugging_face
from ppa_plugin.convert.to_hf import convert
from ppa_plugin.convert.tokenizer import tokenizer_json
from ppa_plugin.convert.tokenizer.sentencepiece_file import added_tokens, find_sentencepiece
from ppa_plugin.convert.weights import check_shapes, read_weights
from ppa_plugin.data import tokenizer_file, vocabulary
from ppa_plugin.files import reading
from ppa_plugin.model import checkpoint, names
from ppa_plugin.model.families import of_config
from ppa_plugin.model.families.family import EMBED_TOKENS, HEAD, LAYER_NORM_EPS, OUTPUT_BIAS, TIED_OUTPUT, Family
from ppa_plugin.model.sizes import SIZE_FLAGS

# what a directory may hold that is written here: of the tokenizers' files, those of one kind
FAIRSEQ_FILES = ("model.pt", "dict.txt", hugging_face.SENTENCEPIECE, *tokenizer_file.FILES, "hf")


# What a vocabulary is rounded up to, and fewer rows than anyone rounds up by: more of them are another vocabulary's.
_PADDED_TO = 8
_MOST_PADDING = 1024
# what model.pt keeps of an encoder for the way back and the model card, beside its config
_NOTED = ("source", "added_pieces", "transmi", "new_head", "prefixed", "pooler")


@dataclass(frozen=True)
class Encoder:
    """An encoder, with or without its masked-LM head, and its tokenizer.

    Args:
        state: the parameters, under fairseq's names, in the type that they came in.
        config: Hugging Face's config.json.
        sentencepiece: the tokenizer's file: a SentencePiece model or, of families without, a tokenizer.json.
        source: the Hugging Face model that it comes from, as the user named it.
        added_pieces: how many sub-words its vocabulary has been extended by.
        transmi: where romanizations of its own pieces are among them, how those were merged: `mean` or `max`.
        padding_rows: rows of the embedding matrix after those of the tokenizer's ids.
        new_head: the seed that its masked-LM head was drawn with; None where the head, if any, is the model's own.
        prefixed: of an encoder without a head, whether its names came with the family's prefix, such as `roberta.`.
        pooler: of an encoder without a head, its pooler (Hugging Face's names), which fairseq has no place for.
    """

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    sentencepiece: Path
    source: str
    added_pieces: int = 0
    transmi: str = ""
    padding_rows: int = 0
    new_head: int | None = None
    prefixed: bool = False
    pooler: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def vocabulary_size(self) -> int:
        """Entries of the dictionary, which are the tokenizer's ids."""
        return self.state[EMBED_TOKENS].shape[0] - self.padding_rows

    @property
    def has_head(self) -> bool:
        """Whether it has a masked-LM head."""
        return names.has_head(self.state)

    @property
    def flags(self) -> str:
        """The sizes as flags of `fairseq-train`."""
        sizes = checkpoint.model_settings(self.config)
        own = of_config(self.config, self.source).own_flags
        return " ".join(f"--{flag.replace('_', '-')} {sizes[flag]}" for flag in (*SIZE_FLAGS, "max_positions", *own))


def read_hugging_face(model: str, sentencepiece: str | None = None) -> Encoder:
    """Read a Hugging Face directory or fetch it from the hub; `sentencepiece`: its tokenizer's file or directory.

    Raises `UserError` where something is missing or is not what fairseq's encoder computes alike.
    """
    source = hugging_face.locate(model)
    with reading(source, "an encoder of Hugging Face"):
        config = hugging_face.read_config(source)
        family = of_config(config, source)
        family.check_config(config, source)
        pieces = _find_tokenizer(source, sentencepiece, family)
        found = read_weights(source)
        names.check_finite(found, str(source))
        prefixed = any(name.startswith(family.names.prefix) for name in found)
        weights = names.as_transformers(found, str(source), family)
        state = names.to_fairseq(weights, str(source), family)
        check_shapes(weights, config, str(source))
        rows = state[EMBED_TOKENS].shape[0]
        padding = _padding_rows(source, pieces, rows)
        tokenizer_json.check_size(pieces, rows, source, padding)
        _warn_of_epsilon(config, family, source)
        encoder = Encoder(state, config, pieces, model, padding_rows=padding)
        return encoder if encoder.has_head else replace(encoder, prefixed=prefixed, pooler=names.pooler(weights))


def read_fairseq(directory: Path) -> Encoder:
    """Read the directory that `write_fairseq` writes. Raises `UserError` where something is missing or torn."""
    path = directory / "model.pt"
    converted = convert(path, str(directory))
    with reading(path, "a checkpoint"):
        state = names.to_fairseq(converted.state, str(path))
        padding = state[EMBED_TOKENS].shape[0] - vocabulary.vocabulary_size(converted.pieces)
        note = {key: converted.origin[key] for key in _NOTED if key in converted.origin}
        note |= {"source": note.get("source") or str(directory), "config": converted.config}
        return Encoder(state=state, sentencepiece=converted.pieces, padding_rows=padding, **note)


def with_new_head(encoder: Encoder, seed: int) -> Encoder:
    """An encoder with a masked-LM head as BERT's and RoBERTa's training begins with, the same for the same seed.

    The dense layer's weight is normal with the config's `initializer_range` (0.02), biases are 0, LayerNorm scales by
    1, and the output projection is the embedding. The pooler is dropped: a masked language model has none.
    Raises `UserError` where there is a head already.
    """
    if encoder.has_head:
        raise UserError(f"--new-head: {encoder.source} has a masked-LM head; leave the flag out to keep it")
    embedding = encoder.state[EMBED_TOKENS]
    rows, width = embedding.shape
    generator = torch.Generator().manual_seed(seed)
    dense = torch.empty(width, width).normal_(0, encoder.config.get("initializer_range", 0.02), generator=generator)
    family = of_config(encoder.config, encoder.source)
    head = {
        name: torch.zeros(width) if name.endswith("bias") else torch.ones(width) for name in family.names.head.values()
    }
    head |= {f"{HEAD}dense.weight": dense, OUTPUT_BIAS: torch.zeros(rows)}
    state = {name: tensor.to(embedding.dtype) for name, tensor in head.items()}
    state = {**encoder.state, **state, TIED_OUTPUT: embedding}
    config = {**encoder.config, "architectures": [family.masked_lm]}
    return replace(encoder, state=state, config=config, new_head=seed, prefixed=False, pooler={})


def write_fairseq(encoder: Encoder, directory: Path) -> None:
    """Write model.pt, dict.txt, the tokenizer's files and hf/ (config and tokenizer) to an empty directory."""
    note = {key: getattr(encoder, key) for key in _NOTED}
    torch.save(checkpoint.build(encoder.state, encoder.config, encoder.padding_rows, note), directory / "model.pt")
    vocabulary.write_dictionary(encoder.sentencepiece, directory / "dict.txt")
    for name, file in vocabulary.tokenizer_files(encoder.sentencepiece).items():
        shutil.copyfile(file, directory / name)
    (directory / "hf").mkdir()
    hugging_face.write_config(directory / "hf", encoder.config)
    tokenizer_json.write_tokenizer(directory / "hf", encoder.sentencepiece)


def _find_tokenizer(source: Path, given: str | None, family: Family) -> Path:
    """The file that a family's ids come from; raises `UserError` where there is none."""
    if not vocabulary.is_tokenizer_json(family.tokenizer):
        return find_sentencepiece(source, given)
    return tokenizer_json.given_tokenizer(given or str(source), family.tokenizer)


def _padding_rows(source: Path, pieces: Path, rows: int) -> int:
    """Rows of the embedding after the tokenizer's ids where they look like padding, else 0.

    Raises `UserError` where they are those of tokens that were added to the tokenizer.
    """
    ids = vocabulary.vocabulary_size(pieces)
    if not (0 < rows - ids < _MOST_PADDING and rows % _PADDED_TO == 0):
        return 0
    own = vocabulary.is_tokenizer_json(pieces)  # which has the added tokens among its ids
    added = [] if own else [token for token, index in added_tokens(source).items() if index >= ids]
    if added:
        raise UserError(
            f"{source}: its tokenizer has {len(added)} tokens ({added[0]}, ...) that {pieces.name} lacks; only "
            "vocabularies of SentencePiece alone can be converted"
        )
    return rows - ids


def _warn_of_epsilon(config: dict[str, Any], family: Family, source: Path) -> None:
    epsilon = config.get(family.epsilon_key, family.epsilon)
    if epsilon != LAYER_NORM_EPS and family.epsilon_key not in family.own_flags:
        sys.stderr.write(
            f"warning: {source}/config.json has {family.epsilon_key} {json.dumps(epsilon)}; fairseq computes with "
            f"{LAYER_NORM_EPS}, so outputs differ slightly\n"
        )
