"""Hugging Face's tokenizer files for a SentencePiece model, and the SentencePiece model of a checkpoint."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.checkpoint import data_directories
from ppa_plugin.convert.hugging_face import SENTENCEPIECE
from ppa_plugin.data import vocabulary
from ppa_plugin.hugging_face import import_transformers

# Written by hand: what Transformers 5 would write has model_max_length 1e30 and an `unk_id` of 0, and earlier releases
# choke on some of its other keys.
_TOKENIZER_CONFIG = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "mask_token": "<mask>",
    "model_max_length": 512,
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "tokenizer_class": "XLMRobertaTokenizer",
    "unk_token": "<unk>",
}


def vocabulary_size(sentencepiece_path: str | Path) -> int:
    """The number of ids that a SentencePiece model makes: its pieces, `<pad>` and `<mask>`."""
    return len(vocabulary.SPECIALS) + len(vocabulary.pieces(vocabulary.load_sentencepiece(sentencepiece_path))) + 1


def check_size(sentencepiece_path: str | Path, rows: int, model: str | Path, padding: int = 0) -> None:
    """Raise `UserError`, naming both sizes, where a tokenizer's ids are not the rows of a model's embedding matrix.

    The last `padding` rows belong to no id.
    """
    size = vocabulary_size(sentencepiece_path)
    if size != rows - padding:
        of_them = f", {padding} of them padding" if padding else ""
        raise UserError(
            f"{model} has {rows} embeddings{of_them}, the dictionary of {sentencepiece_path} has {size} entries"
        )


def write_tokenizer(directory: Path, sentencepiece_path: str | Path) -> None:
    """Write `sentencepiece.bpe.model`, `tokenizer.json` and `tokenizer_config.json` to a directory with a config.json.

    Every id is checked to be SentencePiece's + 1 (`<unk>` 3, `<mask>` last): `RuntimeError` where it is not, which is
    what a release of Transformers that reads the file in another way would give.
    """
    transformers = import_transformers()
    shutil.copyfile(sentencepiece_path, directory / SENTENCEPIECE)
    # A real tokenizer comes only from a directory that holds the file under this very name: given vocab_file=...,
    # Transformers 5 makes one of five tokens without a word.
    tokenizer = _quietly(transformers.XLMRobertaTokenizer.from_pretrained, directory)
    pieces = vocabulary.pieces(vocabulary.load_sentencepiece(sentencepiece_path))
    expected = {piece: i for i, piece in enumerate([*vocabulary.SPECIALS, *pieces, vocabulary.MASK])}
    if tokenizer.get_vocab() != expected:
        raise RuntimeError(
            f"transformers {transformers.__version__} makes {len(tokenizer)} tokens of {sentencepiece_path}, "
            f"and not its {len(expected)} in their order"
        )
    backend = tokenizer.backend_tokenizer if hasattr(tokenizer, "backend_tokenizer") else None
    if backend is None:  # Transformers 4 has the tokenizers library behind the "fast" class only
        backend = _quietly(transformers.XLMRobertaTokenizerFast.from_pretrained, directory).backend_tokenizer
    backend.save(str(directory / "tokenizer.json"))
    text = json.dumps(_TOKENIZER_CONFIG, indent=2) + "\n"
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")


def find_sentencepiece(tokenizer: str | None, checkpoint: dict[str, Any], checkpoint_path: Path) -> Path:
    """The SentencePiece model of a checkpoint.

    `tokenizer`, a file or a directory, decides where it is given; else it is looked for in the first of the shards that
    the checkpoint was trained on and up to two levels above it, as the task finds its dictionary, then beside the
    checkpoint and one level up.
    Raises `UserError`, naming the places, where there is none.
    """
    if tokenizer is not None:
        given = Path(tokenizer)
        places = [given / SENTENCEPIECE] if given.is_dir() else [given]
    else:
        beside = checkpoint_path.absolute().parent
        directories = [*data_directories(checkpoint), beside, beside.parent]
        places = [directory / SENTENCEPIECE for directory in directories]
    for place in places:
        if place.is_file():
            return place
    hint = "" if tokenizer is not None else "; pass --tokenizer DIR|FILE"
    raise UserError(f"no SentencePiece model at {', '.join(map(str, places))}{hint}")


def _quietly(load, directory: Path):
    """Call `load(directory)` without Transformers' remarks on files that are still to be written."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return load(directory)
    finally:
        logger.setLevel(level)
