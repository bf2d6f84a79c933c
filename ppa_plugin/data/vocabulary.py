"""One dictionary for everything: fairseq index = Hugging Face id = SentencePiece id + 1, `<mask>` last."""

from pathlib import Path

import numpy as np
import sentencepiece
from fairseq.data import Dictionary

from ppa_plugin.commandline import UserError
from ppa_plugin.files import write_beside

MASK = "<mask>"
# XLM-R's four specials precede the pieces; SentencePiece's own three (<unk> <s> </s>) are left out.
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
_SENTENCEPIECE_SPECIALS = ["<unk>", "<s>", "</s>"]


def load_sentencepiece(path: str | Path) -> sentencepiece.SentencePieceProcessor:
    """Load a SentencePiece model whose first three pieces are `<unk> <s> </s>`, as XLM-R's are.

    Raises `UserError` where the file is not a SentencePiece model or is laid out otherwise.
    """
    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path} is not a readable SentencePiece model ({type(error).__name__})") from None
    first = [processor.id_to_piece(i) for i in range(min(3, processor.get_piece_size()))]
    if first != _SENTENCEPIECE_SPECIALS:
        raise UserError(f"{path}: the first pieces are {first}, expected {_SENTENCEPIECE_SPECIALS} as in XLM-R")
    return processor


def pieces(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    """The pieces from id 3 on, in order: the lines of `dict.txt` but for the last one, `<mask>`."""
    return [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]


def is_entry(piece: str) -> bool:
    """Whether fairseq's dictionary, which splits its lines at any white space, can hold the piece."""
    return bool(piece) and piece == "".join(piece.split())


def dictionary_entries(sentencepiece_path: str | Path) -> list[str]:
    """The lines of `dict.txt` for a SentencePiece model, without their counts.

    Raises `UserError` where a piece cannot be a dictionary entry: it holds white space or repeats another one.
    """
    entries = [*pieces(load_sentencepiece(sentencepiece_path)), MASK]
    seen = set(SPECIALS)
    for number, piece in enumerate(entries, 3):
        if piece in seen or not is_entry(piece):
            raise UserError(
                f"{sentencepiece_path}: piece {number} ({piece!r}) repeats another one or holds white space"
            )
        seen.add(piece)
    return entries


def to_indices(ids: list[int]) -> np.ndarray:
    """SentencePiece ids of one sentence -> dictionary indices (T,), without specials: id + 1, and 3 for `<unk>`."""
    ids = np.array(ids, dtype=np.int64)
    return np.where(ids == 0, SPECIALS.index("<unk>"), ids + 1)


def write_dictionary(sentencepiece_path: str | Path, dict_path: str | Path) -> int:
    """Write `dict.txt` for a SentencePiece model and return the size of the vocabulary, specials included.

    Raises `UserError` as `dictionary_entries` does.
    """
    entries = dictionary_entries(sentencepiece_path)
    with write_beside(dict_path) as handle:
        handle.writelines(f"{piece} 1\n" for piece in entries)
    return len(SPECIALS) + len(entries)


def load_dictionary(path: str | Path) -> Dictionary:
    """Load `dict.txt`; `<mask>` is added as the last entry where the file lacks it (fairseq's own XLM-R releases)."""
    try:
        dictionary = Dictionary.load(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not a readable fairseq dictionary: {error}") from None
    mask_index = dictionary.add_symbol(MASK)
    if mask_index != len(dictionary) - 1:
        raise UserError(f"{path}: {MASK} is entry {mask_index}, it has to be the last of {len(dictionary)}")
    return dictionary


def check_dictionary(dictionary: Dictionary, sentencepiece_path: str | Path) -> None:
    """Raise `UserError` unless the dictionary's every index is the Hugging Face id of the model's piece."""
    expected = [*SPECIALS, *dictionary_entries(sentencepiece_path)]
    if dictionary.symbols == expected:
        return
    if len(dictionary) != len(expected):
        difference = f"dict.txt has {len(dictionary)} entries, {sentencepiece_path} makes {len(expected)}"
    else:
        index = next(i for i, (a, b) in enumerate(zip(dictionary.symbols, expected, strict=True)) if a != b)
        difference = f"dict.txt entry {index} is {dictionary[index]!r}, {sentencepiece_path} has {expected[index]!r}"
    raise UserError(f"{difference}: not of the same model; binarize again with your checkpoint's SentencePiece model")
