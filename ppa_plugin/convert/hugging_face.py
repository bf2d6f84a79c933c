"""A Hugging Face directory of an XLM-R without its tensors: where it is, its config, which files hold the weights."""

import json
import os
import re
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError, positive, quoted
from ppa_plugin.files import read_json, read_json_object

SENTENCEPIECE = "sentencepiece.bpe.model"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
_SIZES += ("max_position_embeddings", "type_vocab_size")
_LARGEST_CONFIG = 1 << 26  # bytes
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
# fairseq's LayerNorm has this and no flag for another
LAYER_NORM_EPS = 1e-5


def locate(name: str) -> Path:
    """The local directory of a model: `name` itself if it is one, else the hub's snapshot of that name.

    Raises `UserError` where it is neither a directory nor a name that can be fetched.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if path.exists() or not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise UserError(f"{name} is not a directory; pass a Hugging Face directory or a hub name such as owner/model")
    from huggingface_hub import snapshot_download

    # safetensors wherever the repository has them; the pickle beside them would be downloaded for nothing
    patterns = ["*.json", "*.model", "vocab.txt", "*.safetensors"]
    try:
        found = Path(snapshot_download(name, allow_patterns=patterns))
        if not any((found / file).is_file() for file in WEIGHTS[:2]):
            found = Path(snapshot_download(name, allow_patterns=[*patterns, "pytorch_model*.bin"]))
    except Exception as error:  # the hub's client has a dozen ways to say no, from no network to no such model
        raise UserError(
            f"{name} is not a local directory and could not be fetched from the hub ({type(error).__name__})"
        ) from None
    return found


def read_config(directory: Path) -> dict[str, Any]:
    """The `config.json` of a Hugging Face directory. Raises `UserError` where it is missing or not JSON."""
    path = directory / "config.json"
    if not os.path.lexists(path):
        raise UserError(f"{directory} holds no config.json: it is not a Hugging Face directory")
    return read_json_object(path, _LARGEST_CONFIG)


def check_config(config: dict[str, Any], directory: str | Path) -> None:
    """Raise `UserError` unless the config describes an XLM-R that fairseq's encoder computes alike."""
    if config.get("model_type") != "xlm-roberta":
        raise UserError(
            f"{directory} is a {str(config.get('model_type'))[:40]} model; only xlm-roberta can be converted"
        )
    required = {
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "is_decoder": False,
    }
    for key, value in required.items():
        # a config may leave out what equals its class's default; of these only type_vocab_size's is another (2)
        found = config.get(key, 2 if key == "type_vocab_size" else value)
        if found != value:
            raise UserError(f"{directory}/config.json: {key} is {quoted(found)}; only {value!r} can be converted")
    for key in _SIZES:
        if config.get(key) not in positive:
            raise UserError(f"{directory}/config.json: {key} is {quoted(config.get(key))}, not a size")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise UserError(
            f"{directory}/config.json: hidden_size {config['hidden_size']} is not a multiple of num_attention_heads "
            f"{config['num_attention_heads']}"
        )


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """Write `config.json`."""
    (directory / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def weight_files(directory: Path) -> list[Path]:
    """The files that hold a Hugging Face directory's weights, sorted by name; empty where there are none.

    Raises `UserError` where an index of shards cannot be read.
    """
    found = next((directory / name for name in WEIGHTS if (directory / name).is_file()), None)
    if found is None:
        return []
    if found.suffix != ".json":
        return [found]
    index = read_json(found)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    named = list(shards.values()) if isinstance(shards, dict) else []
    if not named or not all(isinstance(name, str) and Path(name).name for name in named):
        raise UserError(f"{found} is not an index of shards")
    # a shard's name is a file's beside the index, never a path out of the directory
    return [directory / Path(name).name for name in sorted(set(named))]
