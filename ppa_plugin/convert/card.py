"""The model card of a converted checkpoint: where it comes from, how it was trained, whom to acknowledge."""

from typing import Any

from ppa_plugin.convert.checkpoint import settings

# the sections of a checkpoint's cfg and what of them makes the recipe
_RECIPE = {
    "task": "_name data mask_prob mask_keep mask_random max_positions sampling_alpha batch_order tlm_truncation",
    "criterion": "_name mlm_weight mlm_sides seq_weight tlm_weight seq_layer seq_temperature seq_negatives "
    "seq_ignore_duplicates seq_pooling seq_similarity seq_gather",
    "model": "_name encoder_layers encoder_embed_dim encoder_ffn_embed_dim encoder_attention_heads dropout "
    "attention_dropout activation_dropout",
    "optimizer": "_name adam_betas adam_eps weight_decay",
    "lr_scheduler": "_name warmup_updates total_num_update end_learning_rate",
    "optimization": "lr clip_norm max_update max_epoch update_freq",
    "dataset": "batch_size max_tokens",
    "distributed_training": "distributed_world_size",
    "common": "seed fp16 memory_efficient_fp16 bf16",
}

_CARD = """\
---
license: other
tags:
- fill-mask
- xlm-roberta
- transliteration
---

# {title}

A multilingual encoder (XLM-R architecture, {size}), written by
`ppa-convert to-hf` from a checkpoint of post-training alignment by transliteration
(PPA, [arXiv 2406.19759](https://arxiv.org/abs/2406.19759)).

Base model: {base}

Updates: {updates}

**Licence: to be filled in.** It has to agree with the base model's and the training data's; then set `license` above.

## Use

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("DIRECTORY")
model = AutoModelForMaskedLM.from_pretrained("DIRECTORY")
```

Text goes in in its own script: romanizations were used in training only.

## Recipe

{recipe}

## Acknowledgements

This project uses the universal romanizer software 'uroman' written by Ulf Hermjakob, USC Information Sciences Institute
(2015-2020).
"""


def model_card(title: str, config: dict[str, Any], checkpoint: dict[str, Any], origin: dict[str, Any]) -> str:
    """The README.md of a converted checkpoint, its recipe read from the checkpoint's own settings."""
    size = "{num_hidden_layers} layers, {hidden_size} wide, vocabulary {vocab_size}".format_map(config)
    started_from = settings(checkpoint, "checkpoint").get("finetune_from_model")
    added = origin.get("added_pieces")
    history = checkpoint.get("optimizer_history") or [{}]
    return _CARD.format(
        title=title,
        size=size,
        base=(origin.get("source") or started_from or "none (trained from scratch) or unknown")
        + (f", its vocabulary extended by {added:,} sub-words of romanized text" if added else ""),
        updates=history[-1].get("num_updates", "unknown"),
        recipe=_recipe(checkpoint),
    )


def _recipe(checkpoint: dict[str, Any]) -> str:
    """The flags of `fairseq-train` as a code block; what was switched off is left out."""
    flags = []
    for section, keys in _RECIPE.items():
        found = settings(checkpoint, section)
        flags += [_flag(section, key, found[key]) for key in keys.split() if found.get(key) not in (None, "", False)]
    if not flags:
        return "The checkpoint does not say how it was trained."
    return "\n".join(["```", *flags, "```"])


def _flag(section: str, key: str, value: Any) -> str:
    chosen = "arch" if section == "model" else section
    flag = "--" + (chosen if key == "_name" else key).replace("_", "-")
    if value is True:
        return flag
    if key == "adam_betas":
        return f"{flag} '({', '.join(map(str, value))})'" if isinstance(value, list | tuple) else f"{flag} '{value}'"
    return f"{flag} {','.join(map(str, value)) if isinstance(value, list) else value}"
