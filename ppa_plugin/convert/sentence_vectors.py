"""What sentence-transformers reads of a directory, so that its vectors are those that SEQ trained."""

import json
from pathlib import Path

_POOLING = "1_Pooling"
FILES = ("modules.json", "sentence_bert_config.json", _POOLING)
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": _POOLING, "type": "sentence_transformers.models.Pooling"},
]


def write_modules(directory: Path, layer: int, width: int, longest: int) -> None:
    """Write `modules.json` and the settings of its two modules: the mean over the tokens of `layer`.

    All tokens count, `<s>` and `</s>` too: `ppa-evaluate`'s pooling `all`, the paper's. Without these files the library
    would take the last layer, and say nothing. Only the library's copy of the model ends at `layer`: Transformers does
    not read these files. `width` is C; `longest` bounds a text's tokens.
    """
    settings = {
        "modules.json": _MODULES,
        "sentence_bert_config.json": {
            "max_seq_length": longest,
            "do_lower_case": False,
            "config_args": {"num_hidden_layers": layer},
        },
        f"{_POOLING}/config.json": {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True},
    }
    (directory / _POOLING).mkdir()
    for name, content in settings.items():
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
