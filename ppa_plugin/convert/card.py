"""The model card of a converted checkpoint: where it comes from, how it was trained, whom to acknowledge."""

import json
from typing import Any

from ppa_plugin.convert import names
from ppa_plugin.convert.checkpoint import data_directories, settings
from ppa_plugin.layers import default_layer

MANIFEST = "manifest.json"
_NEW_HEAD = """

The masked-LM head is not the base model's, which has none: training began with one drawn at random (seed {seed})."""
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
{languages}tags:
{task}- xlm-roberta
- transliteration
---

# {title}

A multilingual encoder (XLM-R architecture, {size}), written by
`ppa-convert to-hf` from a checkpoint of post-training alignment by transliteration
(PPA, [arXiv 2406.19759](https://arxiv.org/abs/2406.19759)).

Base model: {base}{head}

Updates: {updates}

**Licence: to be filled in.** It has to agree with the base model's and the training data's; then set `license` above.

## Use

```python
from transformers import {auto_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("DIRECTORY")
model = {auto_class}.from_pretrained("DIRECTORY")
```

Text goes in in its own script: romanizations were used in training only. Sentence vectors are means over the tokens of
layer {layer}, which is where the contrastive term was applied:

```python
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer

body = Transformer("DIRECTORY", config_args={{"num_hidden_layers": {layer}}})
encoder = SentenceTransformer(modules=[body, Pooling(body.get_word_embedding_dimension(), "mean")])
```

## Data

{data}

## Results

**To be filled in:** `ppa-report results.jsonl --output report` writes the tables as Markdown.

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
    manifest = _manifest(checkpoint)
    has_head = names.has_head(checkpoint.get("model", {names.HEAD}))
    return _CARD.format(
        title=title,
        languages=_language_codes(manifest),
        size=size,
        task="- fill-mask\n" if has_head else "",
        auto_class="AutoModelForMaskedLM" if has_head else "AutoModel",
        head=_NEW_HEAD.format(seed=origin["new_head"]) if origin.get("new_head") is not None else "",
        layer=settings(checkpoint, "criterion").get("seq_layer") or default_layer(config["num_hidden_layers"]),
        data=_data(manifest),
        base=(origin.get("source") or started_from or "none (trained from scratch) or unknown")
        + (f", its vocabulary extended by {added:,} sub-words of romanized text" if added else ""),
        updates=history[-1].get("num_updates", "unknown"),
        recipe=_recipe(checkpoint),
    )


def _manifest(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the shards that were trained on; empty where they are no longer there."""
    for directory in data_directories(checkpoint):
        try:
            manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(manifest, dict) and isinstance(manifest.get("languages"), dict):
            return manifest
    return {}


def _language_codes(manifest: dict[str, Any]) -> str:
    """The languages as the hub's search reads them, ISO 639-3, in the card's YAML."""
    codes = dict.fromkeys(lang.partition("_")[0] for lang in manifest.get("languages", {}))
    return "".join(["language:\n", *(f"- {code}\n" for code in codes)]) if codes else ""


def _data(manifest: dict[str, Any]) -> str:
    """Pairs by language, and what romanized them."""
    if not manifest:
        return "**To be filled in:** the manifest of the shards was not found where the checkpoint was trained on them."
    rows = []
    for lang, counts in manifest["languages"].items():
        romanizer = counts.get("romanizer") or {}
        by = f"{romanizer['name']} {romanizer['version']}" if romanizer else "brought along"
        rows.append(f"| {lang} | {counts['train']:,} | {by} |")
    return "\n".join(["| language | training pairs | romanized by |", "|---|---:|---|", *rows])


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
