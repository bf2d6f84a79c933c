"""A Hugging Face directory without its tensors: where it is, its config, which files hold the weights."""

import json
import os
import re
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.files import read_json, read_json_object

SENTENCEPIECE = "sentencepiece.bpe.model"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_LARGEST_CONFIG = 1 << 26  # bytes
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


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


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """Write `config.json`."""
    (directory / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def no_weights(directory: Path) -> UserError:
    """What to say of a directory that has none of `WEIGHTS`."""
    said = f"{directory} holds no weights ({WEIGHTS[0]} or {WEIGHTS[2]})"
    checkpoints = [name for name in ("model.pt", "checkpoint_last.pt") if (directory / name).is_file()]
    if not checkpoints:
        return UserError(said)
    return UserError(f"{said}, but fairseq's: ppa-convert to-hf {directory / checkpoints[0]} OUT_DIR writes such")


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
