"""The model card of a converted checkpoint: where it comes from, how it was trained, whom to acknowledge."""

from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import sentence_vectors
from ppa_plugin.convert.recipe import recipe_flags
from ppa_plugin.files import read_json
from ppa_plugin.model import checkpoint as checkpoints
from ppa_plugin.model import names
from ppa_plugin.model.checkpoint import data_directories, settings
from ppa_plugin.model.families import of_config
from ppa_plugin.model.families.family import HEAD
from ppa_plugin.romanization.by_language import MANIFEST
from ppa_plugin.romanization.romanizers import titled

_NEW_HEAD = """

The masked-LM head is not the base model's, which has none: training began with one drawn at random (seed {seed})."""
_TRANSMI = (
    " (TransMI, [arXiv 2405.09913](https://arxiv.org/abs/2405.09913): those of its own pieces, merged by their {})"
)
_CARD = """\
---
license: other
{languages}tags:
{task}- {family}
- transliteration
---

# {title}

A multilingual encoder ({architecture} architecture, {size}), written by
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

{input}

{vectors}:

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer("DIRECTORY").encode(["Αθήνα", "Athens"])
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


def model_card(
    title: str,
    config: dict[str, Any],
    checkpoint: dict[str, Any],
    origin: dict[str, Any],
    around: tuple[str, str],
) -> str:
    """The README.md of a converted checkpoint, its recipe read from the checkpoint's own settings.

    `around` is what the tokenizer puts before and after a text.
    """
    size = "{num_hidden_layers} layers, {hidden_size} wide, vocabulary {vocab_size}".format_map(config)
    started_from = settings(checkpoint, "checkpoint").get("finetune_from_model")
    added, transmi = origin.get("added_pieces"), origin.get("transmi")
    updates = checkpoints.updates(checkpoint)
    manifest = _manifest(checkpoint)
    has_head = names.has_head(checkpoint.get("model", {HEAD}))
    return _CARD.format(
        title=title,
        languages=_language_codes(manifest),
        size=size,
        family=config["model_type"],
        architecture=of_config(config, title).title,
        vectors=_sentence_vectors(settings(checkpoint, "criterion"), config["num_hidden_layers"], *around),
        task="- fill-mask\n" if has_head else "",
        auto_class="AutoModelForMaskedLM" if has_head else "AutoModel",
        head=_NEW_HEAD.format(seed=origin["new_head"]) if origin.get("new_head") is not None else "",
        data=_data(manifest),
        base=(origin.get("source") or started_from or "none (trained from scratch) or unknown")
        + (f", its vocabulary extended by {added:,} sub-words of romanized text" if added else "")
        + (_TRANSMI.format(transmi) if transmi else ""),
        input="Text goes in in its own script"
        + (" or as uroman romanizes it." if transmi else ": romanizations were used in training only."),
        updates="unknown" if updates is None else updates,
        recipe=_recipe(checkpoint),
    )


def _sentence_vectors(criterion: dict[str, Any], depth: int, begin: str, end: str) -> str:
    """What sentence-transformers gives, in a sentence without its end."""
    layer, pooling = sentence_vectors.chosen(criterion, depth)
    of = f"the vectors of `{begin}` in" if pooling == "cls" else f"means over all tokens, `{begin}` and `{end}` too, of"
    vectors = f"Sentence vectors are {of} " + (f"layer {layer}" if layer else "layer 0 (the embeddings)")
    if criterion.get("seq_weight"):
        return f"{vectors}, which is where the contrastive term was applied"
    without = "The model was trained without the contrastive term.\n" if "seq_weight" in criterion else ""
    return f"{without}{vectors}, as `ppa-evaluate` takes them by default"


def _manifest(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the shards that were trained on; empty where they are no longer there."""
    for directory in data_directories(checkpoint):
        try:
            manifest = read_json(directory / MANIFEST)
        except UserError:
            continue
        languages = manifest.get("languages") if isinstance(manifest, dict) else None
        if isinstance(languages, dict) and all(map(_is_counted, languages.values())):
            return manifest
    return {}


def _is_counted(counts: Any) -> bool:
    """Whether a manifest's language says what the card tells of it."""
    if not isinstance(counts, dict) or not isinstance(counts.get("train"), int):
        return False
    return all(isinstance(each, dict) and {"name", "version"} <= set(each) for each in _romanizers(counts))


def _romanizers(counts: dict[str, Any]) -> list[Any]:
    """What a manifest says of the romanizers of a language: of one, of several, or nothing."""
    romanizer = counts.get("romanizer") or []
    return romanizer if isinstance(romanizer, list) else [romanizer]


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
        by = " and ".join(titled(str(of["name"]), str(of["version"])) for of in _romanizers(counts)) or "brought along"
        rows.append(f"| {lang} | {counts['train']:,} | {by} |")
    return "\n".join(["| language | training pairs | romanized by |", "|---|---:|---|", *rows])


def _recipe(checkpoint: dict[str, Any]) -> str:
    """The flags of `fairseq-train` as a code block."""
    flags = recipe_flags(checkpoint)
    if not flags:
        return "The checkpoint does not say how it was trained."
    return "\n".join(["Flags of `fairseq-train`; what is not among them had its default.", "", "```", *flags, "```"])
