"""Sentence vectors from a layer of any Hugging Face encoder."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.hugging_face import import_transformers
from ppa_plugin.layers import default_layer

POOLS = ("all", "content")
MAX_LENGTH = 512
# Encoders whose output is the last block's and nothing more, so that blocks above the one asked for can stay out.
_POST_NORM = ("bert", "roberta", "xlm-roberta")
# RoBERTa's position table starts after the padding index, so that two of its rows are no positions.
_ROBERTA = ("roberta", "xlm-roberta")


class SentenceEncoder:
    """Means over tokens of `hidden_states[layer]`; layer 0 is the embeddings, layer k the output of block k.

    `pool` is `all`, every token with `<s>` and `</s>`, as the paper's evaluation does, or `content`, without the tokens
    that the tokenizer adds. Raises `UserError` where the directory holds no encoder or tokenizer that Transformers
    loads, or the model has no such layer.
    """

    def __init__(self, directory: str | Path, layer: int | None = None, pool: str = "all", device: str = "cpu"):
        self.directory, self.pool, self.device = Path(directory), pool, _device(device)
        transformers = import_transformers()
        config = _load(transformers.AutoConfig, self.directory, "config.json")
        self.depth = depth = getattr(config, "num_hidden_layers", None)
        if depth is None:
            raise UserError(
                f"{directory} is a {config.model_type} model; only encoders with hidden layers can be evaluated"
            )
        self.layer = default_layer(depth) if layer is None else layer
        if not 0 <= self.layer <= depth:
            raise UserError(f"{directory} has {depth} layers, there is no layer {self.layer}")
        self.tokenizer = self._load_tokenizer(transformers)
        options = {}
        if config.model_type in _POST_NORM:
            config.num_hidden_layers = max(self.layer, 1)
            options = {"add_pooling_layer": False}
        model = _load(transformers.AutoModel, self.directory, "encoder", config=config, **options)
        self.model = model.float().to(self.device).eval()
        self.max_length = min(MAX_LENGTH, self.tokenizer.model_max_length, _positions(config))

    def _load_tokenizer(self, transformers):
        files = ("tokenizer.json", "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "spiece.model")
        if not any((self.directory / name).is_file() for name in files):
            raise UserError(f"{self.directory} holds no tokenizer; copy the files of the one it was trained with there")
        return _load(transformers.AutoTokenizer, self.directory, "tokenizer", use_fast=True)

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str], batch_size: int = 64, description: str = "embedding") -> torch.Tensor:
        """The vectors of `sentences`, in their order: N x C float32 on the CPU.

        Batches are sorted by length, so that little is spent on padding; a sentence that occurs twice is embedded once,
        so that its vectors are the same to the last bit. Longer sentences are cut to `max_length` tokens.
        """
        unique = list(dict.fromkeys(sentences))
        token_ids = self.tokenizer(unique, truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(unique)), key=lambda i: (len(token_ids[i]), i))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        vectors = torch.empty(len(unique), self.model.config.hidden_size)
        for batch in progress(batches, description, total=len(batches), unit="batch"):
            vectors[batch] = self._vectors([token_ids[i] for i in batch]).cpu()
        place = {sentence: i for i, sentence in enumerate(unique)}
        return vectors[[place[sentence] for sentence in sentences]]

    def _vectors(self, token_ids: list[list[int]]) -> torch.Tensor:
        """B sentences as lists of ids -> B x C. `content` of a sentence with no tokens of its own is zeros."""
        batch = self.tokenizer.pad({"input_ids": token_ids}, return_tensors="pt").to(self.device)
        keep = batch["attention_mask"].bool()
        if self.pool == "content":
            added = (self.tokenizer.cls_token_id, self.tokenizer.sep_token_id)
            for token_id in added:
                keep = keep & (batch["input_ids"] != token_id)
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        hidden = self.model(**inputs, output_hidden_states=True).hidden_states[self.layer]
        weights = keep.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _positions(config) -> int:
    """How many tokens a model's position table takes; a model without one takes any number."""
    rows = getattr(config, "max_position_embeddings", None) or MAX_LENGTH
    return rows - config.pad_token_id - 1 if config.model_type in _ROBERTA else rows


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--device {name} is not available here") from None
    return device


def _load(auto_class, directory: Path, what: str, **options):
    """`auto_class.from_pretrained(directory)`, local and without running code from it; remarks are kept to errors."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return auto_class.from_pretrained(directory, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # Transformers raises whatever its many parsers raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{directory}: its {what} cannot be loaded ({type(error).__name__}: {reason})") from None
    finally:
        logger.setLevel(level)
