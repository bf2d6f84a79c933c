"""Sentence vectors from a layer of any Hugging Face encoder."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.evaluation.loading import MAX_LENGTH, available_device, load, load_tokenizer, positions
from ppa_plugin.hugging_face import import_transformers
from ppa_plugin.layers import default_layer

POOLS = ("all", "content")
# Encoders whose output is the last block's and nothing more, so that blocks above the one asked for can stay out.
_POST_NORM = ("bert", "roberta", "xlm-roberta")


class SentenceEncoder:
    """Means over tokens of `hidden_states[layer]`; layer 0 is the embeddings, layer k the output of block k.

    `pool` is `all`, every token with `<s>` and `</s>`, as the paper's evaluation does, or `content`, without the tokens
    that the tokenizer adds. Raises `UserError` where the directory holds no encoder or tokenizer that Transformers
    loads, or the model has no such layer.
    """

    def __init__(self, directory: str | Path, layer: int | None = None, pool: str = "all", device: str = "cpu"):
        self.directory, self.pool, self.device = Path(directory), pool, available_device(device)
        transformers = import_transformers()
        config = load(transformers.AutoConfig, self.directory, "config.json")
        self.depth = depth = getattr(config, "num_hidden_layers", None)
        if depth is None:
            raise UserError(
                f"{directory} is a {config.model_type} model; only encoders with hidden layers can be evaluated"
            )
        self.layer = default_layer(depth) if layer is None else layer
        if not 0 <= self.layer <= depth:
            raise UserError(f"{directory} has {depth} layers, there is no layer {self.layer}")
        self.tokenizer = load_tokenizer(self.directory)
        options = {}
        if config.model_type in _POST_NORM:
            config.num_hidden_layers = max(self.layer, 1)
            options = {"add_pooling_layer": False}
        model = load(transformers.AutoModel, self.directory, "encoder", config=config, **options)
        self.model = model.float().to(self.device).eval()
        self.max_length = min(MAX_LENGTH, self.tokenizer.model_max_length, positions(config))

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
