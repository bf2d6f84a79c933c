"""Loading a Hugging Face directory: its parts, on a device, without running code from it."""

import logging
import warnings
from pathlib import Path

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import sentencepiece_tokenizer
from ppa_plugin.hugging_face import import_transformers

MAX_LENGTH = 512
# RoBERTa's position table starts after the padding index, so that two of its rows are no positions.
ROBERTA = ("roberta", "xlm-roberta")
# one of these is in every directory with a tokenizer
_TOKENIZERS = ("tokenizer.json", "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "spiece.model")
TOKENIZER_FILES = (
    *_TOKENIZERS,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
)


def load(auto_class, directory: Path, what: str, **options):
    """`auto_class.from_pretrained(directory)`, local and without running code from it; remarks are kept to errors.

    Raises `UserError`, which calls the part `what`, where Transformers cannot load it.
    """
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return auto_class.from_pretrained(directory, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # Transformers raises whatever its many parsers raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{directory}: its {what} cannot be loaded ({type(error).__name__}: {reason})") from None
    finally:
        logger.setLevel(level)


def load_tokenizer(directory: Path):
    """The directory's tokenizer: SentencePiece wherever an XLM-R has its model there, else what Transformers loads.

    Raises `UserError` where it holds none: Transformers would make up an empty one.
    """
    if (own := sentencepiece_tokenizer.find(directory)) is not None:
        return own
    if not any((directory / name).is_file() for name in _TOKENIZERS):
        raise UserError(f"{directory} holds no tokenizer; copy the files of the one it was trained with there")
    return load(import_transformers().AutoTokenizer, directory, "tokenizer", use_fast=True)


def positions(config) -> int:
    """How many tokens a model's position table takes; a model without one takes any number."""
    rows = getattr(config, "max_position_embeddings", None) or MAX_LENGTH
    return rows - config.pad_token_id - 1 if config.model_type in ROBERTA else rows


def available_device(name: str) -> torch.device:
    """The device of that name. Raises `UserError` where this machine has none."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--device {name} is not available here") from None
    return device
