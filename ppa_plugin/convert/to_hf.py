"""A fairseq checkpoint as a Hugging Face directory: what `ppa-convert to-hf` and `ppa-evaluate select` share."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import card, hugging_face, sentence_vectors, weights
from ppa_plugin.convert.tokenizer import tokenizer_json
from ppa_plugin.data import tokenizer_file, vocabulary
from ppa_plugin.files import reading
from ppa_plugin.model import checkpoint, names
from ppa_plugin.model.families import of_config, of_names

# what a directory may hold that is written here; no family has all of them
HF_FILES = ("config.json", "model.safetensors", hugging_face.SENTENCEPIECE, *tokenizer_file.FILES)
HF_FILES += ("README.md", *sentence_vectors.FILES)


@dataclass(frozen=True)
class Converted:
    """A checkpoint under Hugging Face's names: weights, `config.json`, the tokenizer's file, what it was made of.

    An encoder without a masked-LM head is as it came: its names with or without `roberta.`, its pooler where it had one
    and the file that training started from is still there.
    """

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    pieces: Path
    trained: dict[str, Any]
    origin: dict[str, Any]
    path: Path

    def write(self, directory: Path, title: str) -> None:
        """Write its family's of `HF_FILES` into a directory that exists; `title` heads the card. Raises `UserError`."""
        with reading(self.path, "a checkpoint"):
            criterion = checkpoint.settings(self.trained, "criterion")
            layer, pooling = sentence_vectors.chosen(criterion, self.config["num_hidden_layers"])
            text = card.model_card(title, self.config, self.trained, self.origin, vocabulary.around(self.pieces))
        weights.write_model(directory, self.state, self.config)
        tokenizer_json.write_tokenizer(directory, self.pieces)
        family = of_config(self.config, self.path)
        longest = family.positions(self.config)
        sentence_vectors.write_modules(directory, layer, pooling, self.config, longest, family.post_norm)
        (directory / "README.md").write_text(text, encoding="utf-8")


def convert(path: Path, sentencepiece: str | None = None) -> Converted:
    """Read a checkpoint, without running code from it, and find its tokenizer (`sentencepiece`: a file or directory).

    Raises `UserError` where the file is damaged or no checkpoint of ours, or its tokenizer is not to be found.
    """
    with reading(path, "a checkpoint"):
        trained = checkpoint.load_fairseq(path)
        names.check_finite(trained["model"], str(path))
        state = names.to_hugging_face(trained["model"], str(path))
        pieces = tokenizer_json.find_tokenizer(sentencepiece, trained, path, of_names(state).tokenizer)
        rows = state[of_names(state).names.words].shape[0]
        tokenizer_json.check_size(pieces, rows, path, checkpoint.padding_rows(trained))
        origin = checkpoint.find_origin(trained)
        if not names.has_head(state):
            if not origin:
                sys.stderr.write(
                    f"warning: {path}: the model.pt that training started from is not there; if its encoder had a "
                    "pooler, it is left out\n"
                )
            state |= origin.get("pooler", {})
        state, config = _with_config(state, trained, origin, path, pieces)
        return Converted(state, config, pieces, trained, origin, path)


def _with_config(
    state: dict[str, torch.Tensor], trained: dict[str, Any], origin: dict[str, Any], path: Path, pieces: Path
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights in the type to write them in, and their config: the original model's, else one from the shapes."""
    model = checkpoint.settings(trained, "model")
    config = dict(origin.get("config") or {})
    if not config:
        heads = model.get("encoder_attention_heads")
        if not isinstance(heads, int) or isinstance(heads, bool):
            raise UserError(f"{path} does not say how many attention heads its model has (cfg.model)")
        config = {"architectures": [weights.architecture(state)], **of_names(state).derive_config(state, heads, model)}
        ids = vocabulary.TextEncoder(pieces).specials
        config |= {"bos_token_id": ids.bos, "eos_token_id": ids.eos, "pad_token_id": ids.pad}
    of_config(config, path).check_config(config, path)
    weights.check_shapes(state, config, str(path))
    json.dumps(config)  # before anything is written: what is no JSON came with the checkpoint
    kind = _lossless_type(state, origin.get("dtype", "float32"))
    key = "dtype" if "dtype" in config else "torch_dtype"
    if config.get(key, "float32") != kind:
        config[key] = kind
    headless = not names.has_head(state)
    if not headless or any("For" in name for name in config.get("architectures") or ()):
        config["architectures"] = [weights.architecture(state)]
    dropped = of_config(config, path).names.prefix if headless and not origin.get("prefixed") else ""
    return {name.removeprefix(dropped): tensor.to(getattr(torch, kind)) for name, tensor in state.items()}, config


def _lossless_type(state: dict[str, torch.Tensor], original: str) -> str:
    """The original weights' type if that holds every value exactly, as on the way there and back; else float32.

    Training leaves values that 16 bits cannot hold. (With `--fp16` too fairseq's checkpoints are FP32: it widens what
    it saves.)
    """
    if original not in ("float16", "bfloat16"):
        return "float32"
    narrow = getattr(torch, original)
    exact = all(torch.equal(tensor.to(narrow).float(), tensor.float()) for tensor in state.values())
    return original if exact else "float32"
