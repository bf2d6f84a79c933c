"""Random models of the encoder families that Transformers has here, for tests of several packages."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from tiny_xlmr import train_pieces

from ppa_plugin.data.vocabulary import vocabulary_size
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import CONFIGURATIONS, PackedModel, TranslitGTE, TranslitModernBERT
from ppa_plugin.model.families import FAMILIES, of_config
from ppa_plugin.model.families.family import Family
from ppa_plugin.model.names import to_fairseq

LAYERS = 4
_TRANSFORMERS = Path(find_spec("transformers").origin).parent
# one of Transformers' older releases that the suite runs with has no such class
needs_gte = pytest.mark.skipif(not (_TRANSFORMERS / "models" / "gte").is_dir(), reason="Transformers has no GTE here")


def _sizes(entries: int) -> dict[str, int]:
    return {
        "vocab_size": entries,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "max_position_embeddings": 512,
    }


def modernbert_config(entries: int = 90, **changes: Any) -> Any:
    """Transformers' configuration of 4 blocks of 16, the first and last of which attend to everything."""
    own = {
        "local_attention": 8,
        **{"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "cls_token_id": 2, "sep_token_id": 1},
    }
    return import_transformers().ModernBertConfig(**(_sizes(entries) | own | changes))


def gte_config(entries: int = 90, **changes: Any) -> Any:
    """Transformers' configuration of 4 blocks of 16, its positions scaled as the published ones are."""
    own = {"rope_parameters": {"rope_type": "linear", "rope_theta": 20_000.0, "factor": 1.3}}
    return import_transformers().GteConfig(**(_sizes(entries) | own | changes))


@dataclass(frozen=True)
class Tiny:
    """A family, its model of ours, Transformers' configuration of a tiny one, and the names of what `--arch` builds."""

    model: type[PackedModel]
    config: Callable[..., Any]
    architectures: tuple[str, ...]
    entries: int  # of the published vocabulary
    train_tokenizer: Callable[[list[str], Path, int], int]

    @property
    def family(self) -> Family:
        return self.model.family

    @property
    def settings(self) -> type:
        return CONFIGURATIONS[self.family.model]


def random_model(config: Any) -> Any:
    """The masked LM of Transformers with every parameter random, LayerNorms and the projection's bias too.

    LayerNorms of blocks' outputs scale by about 1: by less, they would leave little of where a token stands.
    """
    torch.manual_seed(0)
    family = next(family for family in FAMILIES.values() if family.model_type == config.model_type)
    model = getattr(import_transformers(), family.masked_lm)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scales = family.post_norm and "norm" in name.lower() and name.endswith("weight")
            parameter.normal_(float(scales), 0.3)
    return model


def as_in_a_file(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Parameters of Transformers' model, or their gradients, under the names that `save_pretrained` gives them.

    Of GTE's it puts query, key and value into one matrix, and the two products of the gate.
    """
    if "gte.embeddings.LayerNorm.weight" not in state:
        return dict(state)
    parts = {"attention.qkv_proj": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]}
    parts |= {"mlp.up_gate_proj": ["mlp.up_proj", "mlp.gate_proj"], "attention.o_proj": ["self_attn.o_proj"]}
    parts |= {"mlp.down_proj": ["mlp.down_proj"], "attn_ln": ["post_attention_layernorm"]}
    parts["mlp_ln"] = ["post_mlp_layernorm"]
    named = {
        name.replace("lm_head.layer_norm", "lm_head.norm"): tensor
        for name, tensor in state.items()
        if ".layers." not in name
    }
    for layer in range(LAYERS):
        for joined, of in parts.items():
            for kind in ("weight", "bias"):
                found = [state.get(f"gte.layers.{layer}.{part}.{kind}") for part in of]
                if found[0] is not None:
                    named[f"gte.encoder.layer.{layer}.{joined}.{kind}"] = torch.cat(found)
    return named


def ours_of(model: Any, **changes: Any) -> PackedModel:
    """Our model with the same parameters, in evaluation mode."""
    config = model.config.to_dict()
    family = of_config(config, "the tiny model")
    ours = next(tiny for tiny in (MODERNBERT, GTE) if tiny.family is family)
    built = ours.model(ours.settings(**(family.settings(config) | changes)), model.config.vocab_size)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    built.load_state_dict(to_fairseq(as_in_a_file(state), "the tiny model"))
    return built.eval()


def packed(lengths: list[int], entries: int = 90) -> dict[str, Any]:
    """Random sequences as the model takes them; no specials among them."""
    generator = torch.Generator().manual_seed(len(lengths))
    return {
        "tokens": torch.randint(5, entries, (sum(lengths),), generator=generator),
        "positions": torch.cat([torch.arange(length) for length in lengths]),
        "lengths": np.array(lengths),
    }


def padded(batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The same as Transformers takes them: input_ids and attention_mask (S x longest)."""
    rows = batch["tokens"].split(batch["lengths"].tolist())
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
    return ids, torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).bool()


def train_tokenizer(sentences: list[str], directory: Path, size: int = 400) -> int:
    """A tokenizer as Gemma 2's and mmBERT's: BPE with bytes for unknown characters, the spaces in the pieces, its own
    specials first; `tokenizer.json` and `tokenizer_config.json`, into a directory that exists. Returns its ids.
    """
    model = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    model.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    model.pre_tokenizer = tokenizers.pre_tokenizers.Split("▁", "merged_with_next")  # pieces of one word each
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False)
    model.train_from_iterator(sentences * 3, trainer)
    described = json.loads(model.to_str())
    vocabulary = described["model"]["vocab"]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    described["model"] |= {"byte_fallback": True, "fuse_unk": True}
    described["pre_tokenizer"] = None
    around = {"<bos>": 2, "<eos>": 1}
    bos, eos = ({"SpecialToken": {"id": token, "type_id": 0}} for token in around)
    first, second = ({"Sequence": {"id": which, "type_id": 0}} for which in "AB")
    described["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [bos, first, eos],
        "pair": [bos, first, eos, second, eos],
        "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in around.items()},
    }
    (directory / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    roles = {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>", "mask": "<mask>"}
    settings = {f"{role}_token": token for role, token in roles.items()}
    settings |= {"cls_token": "<bos>", "sep_token": "<eos>", "model_max_length": 512}
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return len(vocabulary)


def train_sentencepiece(sentences: list[str], directory: Path, size: int = 310) -> int:
    """A SentencePiece model as XLM-R's, into a directory that exists. Returns its ids."""
    path = train_pieces(sentences, size, directory / "sentencepiece.bpe.model")
    path.with_suffix(".vocab").unlink()
    return vocabulary_size(path)


MODERNBERT = Tiny(TranslitModernBERT, modernbert_config, ("mmbert_base", "mmbert_small"), 256_000, train_tokenizer)
GTE = Tiny(TranslitGTE, gte_config, ("gte_multilingual_base",), 250_048, train_sentencepiece)
ALL = [pytest.param(MODERNBERT, id="modernbert"), pytest.param(GTE, id="gte", marks=needs_gte)]


def save(tiny: Tiny, sentences: list[str], directory: Path, size: int, padding: int = 0, dtype=torch.float32) -> Path:
    """A random model and its tokenizer as Transformers' directory; `padding` makes its rows a multiple of so many."""
    directory.mkdir(parents=True)
    entries = tiny.train_tokenizer(sentences, directory, size)
    rows = entries + padding - entries % padding if padding else entries
    random_model(tiny.config(rows)).to(dtype).save_pretrained(directory)
    return directory
