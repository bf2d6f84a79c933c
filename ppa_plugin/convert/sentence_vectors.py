"""What sentence-transformers reads of a directory, so that its vectors are those that SEQ trained."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ppa_plugin.files import open_weights
from ppa_plugin.model.sizes import default_layer

_LAYER = "1_WeightedLayerPooling"
_POOLINGS_PATHS = ("1_Pooling", "2_Pooling")
FILES = ("modules.json", "sentence_bert_config.json", _LAYER, *_POOLINGS_PATHS)

# sentence-transformers' names of its poolings
_POOLINGS = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}


def chosen(criterion: dict[str, Any], depth: int) -> tuple[int, str]:
    """(layer, `mean` or `cls`) that the contrastive term trained, else those that `ppa-evaluate` takes by default.

    `criterion` is the criterion's configuration in a checkpoint, empty where nothing is known of it.
    """
    contrasted = bool(criterion.get("seq_weight"))
    layer = criterion.get("seq_layer") if contrasted else None
    pooling = "cls" if contrasted and criterion.get("seq_pooling") == "cls" else "mean"
    known = isinstance(layer, int) and not isinstance(layer, bool) and 0 <= layer <= depth
    return layer if known else default_layer(depth), pooling


def write_modules(
    directory: Path, layer: int, pooling: str, config: dict[str, Any], longest: int, post_norm: bool = True
) -> None:
    """Write `modules.json` and the settings of its modules: the vectors of `layer`, pooled.

    In a mean all tokens count, `<s>` and `</s>` too: `ppa-evaluate`'s pooling `all`, the paper's. Without these files
    the library would take the last layer, and say nothing. Only the library's copy of the model ends at `layer`:
    Transformers does not read these files. Where another LayerNorm follows the last block, as it does unless the family
    is of `post_norm`, the copy has a block more, and a module takes the layer below it as it is. `config` is the
    model's; `longest` bounds a text's tokens.
    """
    below = not post_norm and layer < config["num_hidden_layers"]
    blocks = layer + 1 if below else layer
    cut: dict[str, Any] = {"num_hidden_layers": blocks}
    if "layer_types" in config:
        cut["layer_types"] = config["layer_types"][:blocks]
    paths = {"Transformer": "", **({"WeightedLayerPooling": _LAYER} if below else {})}
    paths["Pooling"] = _POOLINGS_PATHS[below]
    settings: dict[str, Any] = {
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (kind, path) in enumerate(paths.items())
        ],
        "sentence_bert_config.json": {
            "max_seq_length": longest,
            "do_lower_case": False,
            "config_args": cut | ({"output_hidden_states": True} if below else {}),
        },
        f"{paths['Pooling']}/config.json": {
            "word_embedding_dimension": config["hidden_size"],
            **{key: name == pooling for name, key in _POOLINGS.items()},
        },
    }
    if below:
        sizes = {"word_embedding_dimension": config["hidden_size"], "layer_start": layer, "num_hidden_layers": blocks}
        settings[f"{_LAYER}/config.json"] = sizes
    for name, content in settings.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if below:
        # all of the first layer from `layer_start` on, nothing of the one above it
        save_file({"layer_weights": torch.tensor([1.0, 0.0])}, directory / _LAYER / "model.safetensors")
        open_weights(directory / _LAYER)
