"""Loading a Hugging Face directory: its parts, whole, on a device, without running code from it."""

import logging
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.hugging_face import WEIGHTS
from ppa_plugin.convert.weights import read_weights, weight_shapes
from ppa_plugin.evaluation.encoder import sentencepiece_tokenizer
from ppa_plugin.files import check_file, reading
from ppa_plugin.model.names import check_finite

# RoBERTa's position table starts after the padding index, so that two of its rows are no positions ...
ROBERTA = ("roberta", "xlm-roberta")
# ... and so do those of its descendants.
_OFFSET_POSITIONS = (
    *ROBERTA,
    *("camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet", "roberta-prelayernorm"),
    *("xlm-roberta-xl", "xmod"),
)
# What need not be in a checkpoint of the encoder: a pooler, which a masked LM has none of, and tables without weights.
_NOT_SAVED = ("pooler", "position_ids", "token_type_ids")
# how much larger than anything in the weights a size in a config may be
_BESIDE_THE_WEIGHTS = 4096
# one of these is in every directory with a tokenizer
_TOKENIZERS = ("tokenizer.json", "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "spiece.model")
TOKENIZER_FILES = (*_TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")


def import_transformers() -> ModuleType:
    """Import and return `transformers`; use this in place of a plain import, before anything else imports it.

    fairseq requires `torchaudio`, whose wheel on PyPI is built for CUDA: beside a CPU build of torch it is installed
    but cannot be loaded (`OSError: libc10_cuda.so`), and `transformers` imports it wherever it is installed, for models
    of text too. A `torchaudio` that cannot be loaded is therefore declared absent, which is what `None` in
    `sys.modules` means to Python; nothing here needs it.
    """
    if "transformers" not in sys.modules:
        try:
            import torchaudio  # noqa: F401
        except (ImportError, OSError):
            sys.modules["torchaudio"] = None
    import transformers

    # its bar over the weights of every load would fill a log with control characters
    transformers.utils.logging.disable_progress_bar()
    return transformers


def load(auto_class, directory: Path, what: str, **options):
    """`auto_class.from_pretrained(directory)`, local and without running code from it; remarks are kept to errors.

    A `state_dict` among the options takes the place of the directory's weights.

    Raises `UserError`, which calls the part `what`, where Transformers cannot load it.
    """
    _check_files(directory)
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with reading(directory, f"a model with its {what}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            place = None if "state_dict" in options else directory
            try:
                return auto_class.from_pretrained(place, local_files_only=True, trust_remote_code=False, **options)
            except Exception as error:  # Transformers raises whatever its many parsers raise
                said = " ".join(str(error).split())[:200]
                raise UserError(f"{directory}: its {what} cannot be loaded ({type(error).__name__}: {said})") from error
    finally:
        logger.setLevel(level)


def _check_files(directory: Path) -> None:
    """Raise `UserError` for what has a file's name in a model's directory and is none: reading a pipe never ends."""
    for name in ("config.json", *WEIGHTS, *TOKENIZER_FILES):
        if os.path.lexists(directory / name):
            check_file(directory / name)


def _check_claims(config, directory: Path) -> None:
    """Raise `UserError` where a config claims sizes that the weights are far from: Transformers would build the model.

    Sizes that merely differ are for it to find; these are what would take hours or all memory before it does.
    """
    shapes = weight_shapes(directory)
    widest = _BESIDE_THE_WEIGHTS + 2 * max((size for shape in shapes.values() for size in shape), default=0)
    most = {
        "num_hidden_layers": max(len(shapes), 64),
        **dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size"), widest),
        **dict.fromkeys(("max_position_embeddings", "type_vocab_size"), max(widest, 1 << 20)),
    }
    for key, limit in most.items():
        claimed = getattr(config, key, None)
        if isinstance(claimed, int) and claimed > limit:
            raise UserError(f"{directory}/config.json: {key} is {claimed}, which is not the size of its weights")


def load_tokenizer(directory: Path):
    """The directory's tokenizer: SentencePiece wherever an XLM-R has its model there, else what Transformers loads.

    Raises `UserError` where it holds none: Transformers would make up an empty one.
    """
    _check_files(directory)
    if (own := sentencepiece_tokenizer.find(directory)) is not None:
        return own
    if not any((directory / name).is_file() for name in _TOKENIZERS):
        raise UserError(f"{directory} holds no tokenizer; copy the files of the one it was trained with there")
    return load(import_transformers().AutoTokenizer, directory, "tokenizer", use_fast=True)


def load_network(auto_class: str, directory: Path, config, **options) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network of that class whose encoder is the directory's, and what Transformers says of the loading.

    A head that the directory does not have in this shape is drawn from torch's generator, for the caller to judge. So
    is whatever of the encoder is not found, and what has no place is passed over, both without a word: here either is
    an error. Raises `UserError`, naming the parameter, where one of the encoder is missing, of another shape, left over
    or not finite.
    """
    network, info = _load_drawn(auto_class, directory, config, options)
    for mismatch in sorted(info["mismatched_keys"]):
        # Transformers 4 gives the name alone
        name, *shapes = [mismatch] if isinstance(mismatch, str) else mismatch
        if _is_encoders(network, name):
            which = f": {tuple(shapes[0])} and not {tuple(shapes[1])}" if shapes else ""
            raise UserError(f"{directory}: {name} has another shape in its weights than config.json calls for{which}")
    missing, left_over = (
        sorted(n for n in info[keys] if _is_encoders(network, n) and not any(part in n for part in _NOT_SAVED))
        for keys in ("missing_keys", "unexpected_keys")
    )
    if missing:
        parallel = any(name.startswith("module.") for name in info["unexpected_keys"])
        hint = ": they are DistributedDataParallel's, named module.*; save what is in its .module" if parallel else ""
        raise UserError(f"{directory}: its weights do not have {missing[0]}, which config.json calls for{hint}")
    if left_over:
        raise UserError(f"{directory}: its weights have {left_over[0]}, for which config.json leaves no place")
    check_finite(dict(network.named_parameters()), str(directory))
    return network, info


def _load_drawn(auto_class: str, directory: Path, config, options: dict) -> tuple[torch.nn.Module, dict[str, Any]]:
    """As Transformers loads it, but with word embeddings that are stored as the output projection tied to them.

    `safetensors.torch.save_model` keeps one of the two names, and the masked-LM classes alone know that it serves both.
    """
    _check_claims(config, directory)
    options = options | {"config": config, "output_loading_info": True, "ignore_mismatched_sizes": True}
    before = torch.get_rng_state()
    network, info = load(getattr(import_transformers(), auto_class), directory, "encoder", **options)
    words = next(n for n, p in network.named_parameters() if p is network.get_input_embeddings().weight)
    if words not in info["missing_keys"]:
        return network, info
    state = read_weights(directory)
    names = _tied_words(config)
    stored = next((name for name in names if name in state), None)
    if stored is None:
        return network, info
    torch.set_rng_state(before)  # the head is drawn as it would have been
    state |= dict.fromkeys(names, state[stored])
    return load(type(network), directory, "encoder", state_dict=state, **options)


def _tied_words(config) -> list[str]:
    """Every name of the word embeddings in a masked LM of that config; none where Transformers has no such class."""
    try:
        with torch.device("meta"):
            network = import_transformers().AutoModelForMaskedLM.from_config(config)
    except ValueError:
        return []
    words = network.get_input_embeddings().weight
    return [name for name, parameter in network.named_parameters(remove_duplicate=False) if parameter is words]


def _is_encoders(network: torch.nn.Module, name: str) -> bool:
    """Whether a parameter of that name is, or would be, one of the network's encoder, with its prefix or without."""
    prefix = network.base_model_prefix + "."
    if network.base_model is not network:
        return name.startswith(prefix)
    return name.startswith(prefix) or name.split(".")[0] in dict(network.named_children())


def check_ids(tokenizer, rows: int, directory: Path) -> None:
    """Raise `UserError` where the tokenizer has more ids than the word embeddings rows; more rows are padding."""
    if len(tokenizer) > rows:
        raise UserError(
            f"{directory}: its tokenizer has {len(tokenizer):,} ids, its embedding {rows:,} rows; take the tokenizer "
            "that it was trained with, or train it after resize_token_embeddings"
        )


def positions(config) -> int:
    """How many tokens a model's position table takes; a model without one takes any number."""
    rows = getattr(config, "max_position_embeddings", None) or sys.maxsize
    return rows - config.pad_token_id - 1 if config.model_type in _OFFSET_POSITIONS else rows


def available_device(name: str) -> torch.device:
    """The device of that name. Raises `UserError` where this machine has none."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--device {name} is not available here") from None
    return device


def environment(device: torch.device) -> dict[str, str]:
    """What the `config` of a result says of where it was measured."""
    return {"device": device.type, "torch": torch.__version__, "transformers": version("transformers")}
