"""A random ModernBERT for tests of several packages, and sequences shorter and longer than its windows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch

from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import TranslitModernBERT, TranslitModernBERTConfig
from ppa_plugin.model.families import FAMILIES
from ppa_plugin.model.names import to_fairseq

FAMILY = FAMILIES["translit_modernbert"]
LAYERS = 4


def tiny_config(entries: int = 90, **changes: Any) -> Any:
    """Transformers' configuration of 4 blocks of 16, the first and last of which attend to everything."""
    sizes = {
        "vocab_size": entries,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "local_attention": 8,
        "max_position_embeddings": 512,
        **{"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "cls_token_id": 2, "sep_token_id": 1},
    }
    return import_transformers().ModernBertConfig(**(sizes | changes))


def random_model(config: Any) -> Any:
    """ModernBertForMaskedLM with every parameter random, LayerNorms and the projection's bias too."""
    torch.manual_seed(0)
    model = import_transformers().ModernBertForMaskedLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model


def ours_of(model: Any, **changes: Any) -> TranslitModernBERT:
    """Our model with the same parameters, in evaluation mode."""
    settings = FAMILY.settings(model.config.to_dict()) | changes
    ours = TranslitModernBERT(TranslitModernBERTConfig(**settings), model.config.vocab_size)
    ours.load_state_dict(to_fairseq({name: t.clone() for name, t in model.state_dict().items()}, "the tiny model"))
    return ours.eval()


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


def train_tokenizer(sentences: list[str], directory: Path, size: int = 400) -> Path:
    """A tokenizer as Gemma 2's and mmBERT's: BPE with bytes for unknown characters, the spaces in the pieces, its own
    specials first; with `tokenizer_config.json`, into a directory that exists.
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
    return directory / "tokenizer.json"


def tokens_in(path: Path) -> int:
    """How many ids a tokenizer.json has."""
    return tokenizers.Tokenizer.from_file(str(path)).get_vocab_size()
