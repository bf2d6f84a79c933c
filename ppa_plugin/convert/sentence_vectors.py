"""What sentence-transformers reads of a directory, so that its vectors are those that SEQ trained."""

import json
from pathlib import Path
from typing import Any

from ppa_plugin.model.sizes import default_layer

_POOLING = "1_Pooling"
FILES = ("modules.json", "sentence_bert_config.json", _POOLING)
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": _POOLING, "type": "sentence_transformers.models.Pooling"},
]


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


def write_modules(directory: Path, layer: int, pooling: str, width: int, longest: int) -> None:
    """Write `modules.json` and the settings of its two modules: the vectors of `layer`, pooled.

    In a mean all tokens count, `<s>` and `</s>` too: `ppa-evaluate`'s pooling `all`, the paper's. Without these files
    the library would take the last layer, and say nothing. Only the library's copy of the model ends at `layer`:
    Transformers does not read these files. `width` is C; `longest` bounds a text's tokens.
    """
    settings = {
        "modules.json": _MODULES,
        "sentence_bert_config.json": {
            "max_seq_length": longest,
            "do_lower_case": False,
            "config_args": {"num_hidden_layers": layer},
        },
        f"{_POOLING}/config.json": {
            "word_embedding_dimension": width,
            **{key: name == pooling for name, key in _POOLINGS.items()},
        },
    }
    (directory / _POOLING).mkdir()
    for name, content in settings.items():
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
