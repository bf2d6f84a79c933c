"""A tiny XLM-R whole, as a Hugging Face directory and as what fairseq reads: what tests of bad input then break."""

import functools
import io
import json
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save

from ppa_plugin.model import checkpoint, names
from ppa_plugin.model.families.xlmr import XLMR

_PIECES = 36
_SIZES = {"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2}
_WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
TEXT = [f"{word} stands in line {i}" for i, word in enumerate(_WORDS * 4)]


@functools.cache
def _pieces() -> bytes:
    """Of its SentencePiece model."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=written, vocab_size=_PIECES, num_threads=1, minloglevel=2
    )
    return written.getvalue()


def config(**changes) -> dict:
    """The config.json of the tiny model, with other values."""
    rows = _PIECES + 2  # <pad>, <mask>
    known = {"model_type": "xlm-roberta", "vocab_size": rows, "max_position_embeddings": 20, "type_vocab_size": 1}
    return {**known, **_SIZES, "layer_norm_eps": 1e-5, "pad_token_id": 1, **changes}


def state() -> dict[str, torch.Tensor]:
    """Its weights, under Hugging Face's names."""
    sizes = config()
    width, rows, inner = (sizes[key] for key in ("hidden_size", "vocab_size", "intermediate_size"))
    by_end = {
        "word_embeddings.weight": (rows, width),
        "position_embeddings.weight": (sizes["max_position_embeddings"], width),
        "token_type_embeddings.weight": (1, width),
        "intermediate.dense.weight": (inner, width),
        "intermediate.dense.bias": (inner,),
        "attention.output.dense.weight": (width, width),
        "output.dense.weight": (width, inner),
        "lm_head.bias": (rows,),
        "bias": (width,),
        "LayerNorm.weight": (width,),
        "layer_norm.weight": (width,),
        "weight": (width, width),
    }
    generator = torch.Generator().manual_seed(1)
    shapes = {
        name: next(shape for end, shape in by_end.items() if name.endswith(end))
        for name in XLMR.names.table(sizes["num_hidden_layers"])
    }
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_model(directory: Path, **changes) -> Path:
    """`hf/`: the tiny model as a Hugging Face directory."""
    model = directory / "hf"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(config(**changes)))
    (model / "model.safetensors").write_bytes(save(state(), {"format": "pt"}))
    (model / "sentencepiece.bpe.model").write_bytes(_pieces())
    return model


def content() -> dict:
    """The content of its model.pt, as `ppa-convert to-fairseq` writes it."""
    note = {"source": "hf", "added_pieces": 0, "new_head": None, "prefixed": False, "pooler": {}}
    return checkpoint.build(names.to_fairseq(state(), "hf"), config(), 0, note)


def write_checkpoint(directory: Path, change: Callable[[dict], object] = lambda content: None) -> Path:
    """`fs/model.pt` and the SentencePiece model beside it."""
    (directory / "fs").mkdir()
    (directory / "fs/sentencepiece.bpe.model").write_bytes(_pieces())
    changed = content()
    change(changed)
    torch.save(changed, directory / "fs/model.pt")
    return directory / "fs/model.pt"
