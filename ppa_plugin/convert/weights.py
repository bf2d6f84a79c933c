"""The weights of a Hugging Face directory, read and written, and the config that goes with them."""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.hugging_face import WEIGHTS, no_weights, weight_files, write_config
from ppa_plugin.files import check_file, open_weights, reading
from ppa_plugin.model.checkpoint import check_tensors, load_safely
from ppa_plugin.model.families import of_config, of_names
from ppa_plugin.model.names import has_head


def read_weights(directory: Path) -> dict[str, torch.Tensor]:
    """The state dict of a Hugging Face directory, from safetensors or `pytorch_model.bin`, whole or in shards.

    Raises `UserError` where no weights are found, a shard is missing, or a file is truncated or unsafe.
    """
    found = next((directory / name for name in WEIGHTS if (directory / name).is_file()), None)
    if found is None:
        raise no_weights(directory)
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


def write_model(directory: Path, state: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    """Write `config.json` and, as `save_pretrained` does, `model.safetensors`: tied tensors once, `format: pt`."""
    write_config(directory, config)
    contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})
    open_weights(directory)


def check_shapes(state: dict[str, torch.Tensor], config: dict[str, Any], where: str) -> None:
    """Raise `UserError` where the weights (Hugging Face names) are not those of the config's model."""
    family, depth = of_config(config, where), config["num_hidden_layers"]
    if depth > len(state):
        raise UserError(f"{where} holds {len(state)} parameters, the config says {depth} layers")
    if any(name.startswith(f"{family.names.layer}.{depth}.") for name in state):
        raise UserError(f"{where} has more layers than the {depth} that the config says")
    for name, shape in family.expected_shapes(config).items():
        found = tuple(state[name].shape) if name in state else None
        if found != shape:
            raise UserError(f"{where}: {name} is {found or 'missing'}, the config says {shape}")


def architecture(state: dict[str, torch.Tensor]) -> str:
    """The class of Transformers that has these parameters (Hugging Face names)."""
    family = of_names(state)
    return family.masked_lm if has_head(state) else family.bare
