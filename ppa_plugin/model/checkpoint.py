"""Reading checkpoints without running code, and the plain dict that stock fairseq loads as a model to start from."""

import argparse
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.files import check_file, is_file, reading
from ppa_plugin.model.families import of_config
from ppa_plugin.model.families.family import EMBED_TOKENS, TIED_OUTPUT

# The key of `model.pt` under which `to-hf` finds what fairseq has no place for: the model's original config.json.
ORIGIN = "hugging_face"
# What else is under it, and what each has to be: in words, and as types. `build` writes them all.
_NOTED: dict[str, tuple[str, Any]] = {
    "config": ("a mapping", dict),
    "dtype": ("a text", str),
    "source": ("a text", str),
    "added_pieces": ("a whole number", int),
    "transmi": ("a text", str),
    "new_head": ("a whole number or None", (int, type(None))),
    "prefixed": ("True or False", bool),
    "pooler": ("a mapping", dict),
}


def load_safely(path: str | Path, allowed: tuple[type, ...] = ()) -> Any:
    """`torch.load` that never runs code from the file: tensors, plain Python types and the `allowed` classes only.

    Zip files (all since torch 1.6) are mapped, so that an optimizer state that nobody asks for is not read.
    Raises `UserError` where the file is missing, truncated or holds other objects.
    """
    path = Path(path)
    check_file(path)
    # torch's context manager also takes away, on leaving, what was allowed before it
    added = [kind for kind in allowed if kind not in torch.serialization.get_safe_globals()]
    with reading(path, "a torch checkpoint"), torch.serialization.safe_globals(added), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a pickle protocol that torch does not write itself
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as error:
            refused = re.search(r"(?:GLOBAL|global|class|function) [`']?([\w.]+\.\w+)", str(error))
            if "Weights only" not in str(error) or not refused:
                raise UserError(f"{path} is truncated or not a torch checkpoint") from error
            raise UserError(
                f"{path} holds Python objects that could run code ({refused.group(1)}); it was not loaded"
            ) from error
        except (MemoryError, RecursionError):
            raise
        except Exception as error:  # the many readers in it raise whatever a torn file makes them
            raise UserError(f"{path} is truncated or not a torch checkpoint") from error


def load_fairseq(path: str | Path) -> dict[str, Any]:
    """Load a fairseq checkpoint, the trainer's (whose `cfg` holds `argparse.Namespace`) or one of ours.

    Raises `UserError` as `load_safely` does, and where the file holds no state dict under `model`.
    """
    checkpoint = load_safely(path, allowed=(argparse.Namespace,))
    check_content(checkpoint, path)
    return checkpoint


def check_content(checkpoint: Any, path: str | Path) -> None:
    """Raise `UserError` unless the parts of a fairseq checkpoint that are read here are of the types that they have.

    What says how a model was trained may be of any type: it is passed over where it is of another.
    """
    model = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(model, dict) or not all(isinstance(t, torch.Tensor) for t in model.values()):
        raise UserError(f"{path} is not a fairseq checkpoint: it holds no state dict named 'model'")
    check_tensors(model, path)
    rows = padding_rows(checkpoint)
    embedding = model.get(EMBED_TOKENS)
    if rows < 0 or (embedding is not None and rows >= max((1, *embedding.shape))):
        raise UserError(f"{path}: cfg.model.padding_rows is {rows}, which its embedding does not have")
    note = checkpoint.get(ORIGIN)
    if isinstance(note, dict):
        _check_note(note, path)


def check_tensors(state: dict[Any, torch.Tensor], path: str | Path) -> None:
    """Raise `UserError` unless a state dict is one of names and dense tensors, each of them wholly in the file.

    A tensor may claim more elements than the file holds, by strides of 0 or as `meta`: 16 TB in a few bytes.
    """
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise UserError(f"{path}: its state dict has {quoted(name)} for a parameter's name")
        dense = tensor.layout == torch.strided and not (tensor.is_nested or tensor.is_quantized or tensor.is_meta)
        if not dense or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise UserError(f"{path}: {name} is not a dense tensor that the file holds as a whole")


def _check_note(note: dict[str, Any], path: str | Path) -> None:
    for key, (kind, types) in _NOTED.items():
        if key not in note:
            continue
        value = note[key]
        # bool is a kind of int in Python
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            raise UserError(f"{path}: {ORIGIN}.{key} is {quoted(value)}, expected {kind}")
    pooler = note.get("pooler", {})
    if not all(isinstance(tensor, torch.Tensor) for tensor in pooler.values()):
        raise UserError(f"{path}: {ORIGIN}.pooler holds something else than tensors")
    check_tensors(pooler, path)
    if note.get("added_pieces", 0) < 0:
        raise UserError(f"{path}: {ORIGIN}.added_pieces is {note['added_pieces']}, expected at least 0")


def settings(checkpoint: dict[str, Any], section: str) -> dict[str, Any]:
    """The settings of one section of a checkpoint's `cfg` (`model`, `task`, ...) as a plain dict, empty if absent.

    Sections are dicts or, where the component has no dataclass, an `argparse.Namespace` of every flag; checkpoints of
    fairseq before 0.10 hold one Namespace, `args`, in place of `cfg`.
    """
    cfg = checkpoint.get("cfg")
    found = cfg.get(section) if isinstance(cfg, dict) else None
    if found is None:
        found = checkpoint.get("args")
    if isinstance(found, argparse.Namespace):
        return vars(found)
    return found if isinstance(found, dict) else {}


def data_directories(checkpoint: dict[str, Any]) -> list[Path]:
    """Where the task looked for what shards share: the first shard trained on, and up to two levels above it."""
    data = settings(checkpoint, "task").get("data")
    if not isinstance(data, str) or not data:
        return []
    shard = Path(data.split(":")[0]).absolute()
    return [shard, *list(shard.parents)[:2]]


def find_origin(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What `to-fairseq` or `extend` noted of the Hugging Face model, empty where nothing is known.

    The keys are `config`, `dtype` and those that `build` was given. A training run does not pass the note on, so it is
    looked up in the file that the run started from, and where that is another run's, in the one before.
    """
    seen: set[Path] = set()
    while not isinstance(checkpoint.get(ORIGIN), dict):
        started_from = settings(checkpoint, "checkpoint")
        given = [started_from.get(key) for key in ("finetune_from_model", "restore_file")]
        paths = [Path(path) for path in given if isinstance(path, str) and path]
        path = next((path for path in paths if is_file(path) and path.resolve() not in seen), None)
        if path is None:
            return {}
        seen.add(path.resolve())
        try:
            checkpoint = load_fairseq(path)
        except UserError:
            return {}  # the file has been replaced since; the checkpoint itself is whole
    return checkpoint[ORIGIN]


def padding_rows(checkpoint: dict[str, Any]) -> int:
    """Rows of the embedding matrix after those of the dictionary, as the checkpoint's own settings tell."""
    found = settings(checkpoint, "model").get("padding_rows")
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def updates(checkpoint: dict[str, Any]) -> int | None:
    """How many updates a checkpoint has had; None where it does not say."""
    history = checkpoint.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else None
    found = last.get("num_updates") if isinstance(last, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def build(
    state: dict[str, torch.Tensor], config: dict[str, Any], padding_rows: int, note: dict[str, Any]
) -> dict[str, Any]:
    """The content of `model.pt`: `state` (fairseq's names) in FP32, and what its readers need, in plain types only.

    fairseq builds its models in FP32, so FP16 and BF16 weights are widened, which is exact; their own type is noted for
    the way back. `optimizer_history` and `extra_state` are there because loading fails without them.

    Args:
        state: the parameters, under fairseq's names.
        config: Hugging Face's config.json.
        padding_rows: rows of the embedding matrix after those of the dictionary.
        note: what else the way back needs, see `ppa_plugin.convert.to_fairseq.Encoder`.
    """
    types = {str(t.dtype).removeprefix("torch.") for t in state.values()}
    embedding = state[EMBED_TOKENS].float()
    # one tensor under both names, so that the file holds it once
    wide = {k: embedding if k in (EMBED_TOKENS, TIED_OUTPUT) else t.float() for k, t in state.items()}
    return {
        "args": None,
        "cfg": {"model": model_settings(config) | {"padding_rows": padding_rows}},
        "model": wide,
        "optimizer_history": [
            {"criterion_name": "none", "optimizer_name": "none", "lr_scheduler_state": {}, "num_updates": 0}
        ],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        ORIGIN: {**note, "config": config, "dtype": types.pop() if len(types) == 1 else "float32"},
    }


def model_settings(config: dict[str, Any]) -> dict[str, Any]:
    """A Hugging Face config under the names of fairseq's flags; raises `UserError` where it is of no family."""
    return of_config(config, "config.json").settings(config)
