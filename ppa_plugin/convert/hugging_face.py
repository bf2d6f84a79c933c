"""Reading and writing Hugging Face directories of XLM-R models, weights and config."""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.files import check_file, read_json, reading
from ppa_plugin.model.checkpoint import check_tensors, load_safely
from ppa_plugin.model.names import has_head

SENTENCEPIECE = "sentencepiece.bpe.model"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
_SIZES += ("max_position_embeddings", "type_vocab_size")
_LARGEST_CONFIG = 1 << 26  # bytes
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
# fairseq's LayerNorm has this and no flag for another
LAYER_NORM_EPS = 1e-5


def locate(name: str, weights: bool = True) -> Path:
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
    patterns = ["*.json", "*.model", "vocab.txt", *(["*.safetensors"] if weights else [])]
    try:
        found = Path(snapshot_download(name, allow_patterns=patterns))
        if weights and not any((found / file).is_file() for file in WEIGHTS[:2]):
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
    config = read_json(path, _LARGEST_CONFIG)
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object")
    return config


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
        # bool is a kind of int in Python
        if not isinstance(config.get(key), int) or isinstance(config[key], bool) or config[key] < 1:
            raise UserError(f"{directory}/config.json: {key} is {quoted(config.get(key))}, not a size")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise UserError(
            f"{directory}/config.json: hidden_size {config['hidden_size']} is not a multiple of num_attention_heads "
            f"{config['num_attention_heads']}"
        )


def read_weights(directory: Path) -> dict[str, torch.Tensor]:
    """The state dict of a Hugging Face directory, from safetensors or `pytorch_model.bin`, whole or in shards.

    Raises `UserError` where no weights are found, a shard is missing, or a file is truncated or unsafe.
    """
    found = next((directory / name for name in WEIGHTS if (directory / name).is_file()), None)
    if found is None:
        raise UserError(f"{directory} holds no weights ({' or '.join((WEIGHTS[0], WEIGHTS[2]))})")
    files = weight_files(directory)
    state: dict[str, torch.Tensor] = {}
    for file in files:
        if not os.path.lexists(file):
            raise UserError(f"{file} is missing, {found.name} lists it")
        state.update(_read_file(file))
    return state


def weight_shapes(directory: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights in a Hugging Face directory, without reading these; raises as `read_weights` does."""
    shapes = {}
    for file in weight_files(directory):
        if file.suffix == ".safetensors":
            check_file(file)
            with reading(file, "a safetensors file"), safe_open(file, "pt") as handle:
                shapes |= {name: tuple(handle.get_slice(name).get_shape()) for name in handle.keys()}  # noqa: SIM118
        else:
            shapes |= {name: tuple(tensor.shape) for name, tensor in _read_file(file).items()}
    return shapes


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


def _read_file(file: Path) -> dict[str, torch.Tensor]:
    if file.suffix != ".safetensors":
        state = load_safely(file)
        if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
            raise UserError(f"{file} is not a state dict")
        check_tensors(state, file)
        return state
    check_file(file)
    with reading(file, "a safetensors file"):
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} is truncated or not a safetensors file ({error})") from error


def check_shapes(state: dict[str, torch.Tensor], config: dict[str, Any], where: str) -> None:
    """Raise `UserError` where the weights (Hugging Face names) are not those of the config's model."""
    hidden, depth = config["hidden_size"], config["num_hidden_layers"]
    if depth > len(state):
        raise UserError(f"{where} holds {len(state)} parameters, the config says {depth} layers")
    expected = {
        "roberta.embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "roberta.embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "roberta.embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
    }
    for layer in range(depth):
        expected[f"roberta.encoder.layer.{layer}.intermediate.dense.weight"] = (config["intermediate_size"], hidden)
    if any(name.startswith(f"roberta.encoder.layer.{depth}.") for name in state):
        raise UserError(f"{where} has more layers than the {depth} that the config says")
    for name, shape in expected.items():
        found = tuple(state[name].shape) if name in state else None
        if found != shape:
            raise UserError(f"{where}: {name} is {found or 'missing'}, the config says {shape}")


def architecture(state: dict[str, torch.Tensor]) -> str:
    """The class of Transformers that has these parameters (Hugging Face names)."""
    return "XLMRobertaForMaskedLM" if has_head(state) else "XLMRobertaModel"


def derive_config(state: dict[str, torch.Tensor], heads: int, model: dict[str, Any]) -> dict[str, Any]:
    """A `config.json` for weights (Hugging Face names) without one; the dropouts are those of `model`, fairseq's flags.

    `heads` has to be told: the shapes of the weights do not show it.
    """
    vocabulary, hidden = state["roberta.embeddings.word_embeddings.weight"].shape
    layers = {name.split(".")[3] for name in state if name.startswith("roberta.encoder.layer.")}
    return {
        "architectures": [architecture(state)],
        "attention_probs_dropout_prob": model.get("attention_dropout", 0.1),
        "bos_token_id": 0,
        "classifier_dropout": None,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": model.get("dropout", 0.1),
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": state["roberta.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "layer_norm_eps": LAYER_NORM_EPS,
        "max_position_embeddings": state["roberta.embeddings.position_embeddings.weight"].shape[0],
        "model_type": "xlm-roberta",
        "num_attention_heads": heads,
        "num_hidden_layers": len(layers),
        "output_past": True,
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
        "type_vocab_size": state["roberta.embeddings.token_type_embeddings.weight"].shape[0],
        "use_cache": True,
        "vocab_size": vocabulary,
    }


def write_model(directory: Path, state: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    """Write `config.json` and, as `save_pretrained` does, `model.safetensors`: tied tensors once, `format: pt`."""
    write_config(directory, config)
    contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """Write `config.json`."""
    (directory / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
