"""One dictionary for everything: fairseq index = Hugging Face id = SentencePiece id + 1, `<mask>` last."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec

from ppa_plugin.commandline import UserError
from ppa_plugin.files import check_file, reading, write_beside

if TYPE_CHECKING:
    from fairseq.data import Dictionary

MASK = "<mask>"
# XLM-R's four specials precede the pieces; SentencePiece's own three (<unk> <s> </s>) are left out.
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
_SENTENCEPIECE_SPECIALS = ["<unk>", "<s>", "</s>"]


def load_sentencepiece(path: str | Path) -> sentencepiece.SentencePieceProcessor:
    """Load a unigram SentencePiece model whose first three pieces are `<unk> <s> </s>`, as XLM-R's are.

    Raises `UserError` where the file is not a SentencePiece model, is laid out otherwise, or is of a kind for which no
    `tokenizer.json` encodes alike, so that a model trained with it would be measured on other tokens.
    """
    check_file(path)
    with reading(path, "a SentencePiece model"):
        try:
            processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{path} is not a readable SentencePiece model ({reason})") from error
        first = [processor.id_to_piece(i) for i in range(min(3, processor.get_piece_size()))]
        if first != _SENTENCEPIECE_SPECIALS:
            raise UserError(f"{path}: the first pieces are {first}, expected {_SENTENCEPIECE_SPECIALS} as in XLM-R")
        _check_kind(ModelProto.FromString(processor.serialized_model_proto()), path)
        return processor


def _check_kind(model: ModelProto, path: str | Path) -> None:
    """Raise `UserError` for what the tokenizers library would encode otherwise."""
    settings, defined = model.trainer_spec, ModelProto.SentencePiece.USER_DEFINED
    symbol = next((piece.piece for piece in model.pieces if piece.type == defined), None)
    reason = None
    if settings.model_type != TrainerSpec.UNIGRAM:
        reason = f"is of the kind {TrainerSpec.ModelType.Name(settings.model_type).lower()}"
    elif settings.byte_fallback:
        reason = "has pieces for single bytes (byte_fallback)"
    elif settings.treat_whitespace_as_suffix:
        reason = "marks the ends of words (treat_whitespace_as_suffix)"
    elif symbol is not None:
        reason = f"has user-defined symbols, such as {symbol!r}"
    if reason:
        raise UserError(f"{path} {reason}; only SentencePiece models as XLM-R's, unigram and without, are read")


def pieces(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    """The pieces from id 3 on, in order, as SentencePiece spells them."""
    return [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]


def is_entry(piece: str) -> bool:
    """Whether fairseq's text format, which is split at any white space, can hold the piece."""
    return bool(piece) and piece == "".join(piece.split())


def entries(pieces: Sequence[str]) -> list[str]:
    """The dictionary's names of the pieces from id 3 on: the lines of `dict.txt` but for the last one, `<mask>`.

    A piece has its own spelling, unless fairseq's text cannot hold it: XLM-R's piece U+0085 and others in which Python
    sees white space, and those that spell one of the specials or repeat another piece. Such a one is named by its
    index, `<id:97636>`, so that every entry is found by its name and stands at its Hugging Face id.
    """
    spelled, taken = set(pieces), {*SPECIALS, MASK}
    names = []
    for index, piece in enumerate(pieces, len(SPECIALS)):
        name = piece
        if piece in taken or not is_entry(piece):
            name = _escaped(index, spelled)
        taken.add(name)
        names.append(name)
    return names


def _escaped(index: int, spelled: set[str]) -> str:
    """The name of an entry that cannot be spelled, which no piece spells."""
    name = f"<id:{index}>"
    while name in spelled:
        name = f"<{name}>"
    return name


def dictionary_entries(sentencepiece_path: str | Path) -> list[str]:
    """The lines of `dict.txt` for a SentencePiece model, without their counts; raises as `load_sentencepiece` does."""
    return [*entries(pieces(load_sentencepiece(sentencepiece_path))), MASK]


def to_indices(ids: list[int]) -> np.ndarray:
    """SentencePiece ids of one sentence -> dictionary indices (T,), without specials: id + 1, and 3 for `<unk>`."""
    ids = np.array(ids, dtype=np.int64)
    return np.where(ids == 0, SPECIALS.index("<unk>"), ids + 1)


def write_dictionary(sentencepiece_path: str | Path, dict_path: str | Path) -> int:
    """Write `dict.txt` for a SentencePiece model and return the size of the vocabulary, specials included.

    Raises `UserError` as `load_sentencepiece` does.
    """
    lines = dictionary_entries(sentencepiece_path)
    with write_beside(dict_path) as handle:
        handle.writelines(f"{entry} 1\n" for entry in lines)
    return len(SPECIALS) + len(lines)


def load_dictionary(path: str | Path) -> "Dictionary":
    """Load `dict.txt`, ours or that of fairseq's own XLM-R release, as `dictionary_entries` names its entries.

    The release lacks `<mask>`, which becomes the last entry, and spells pieces that are escaped here.
    Raises `UserError` where the file is not such a dictionary.
    """
    from fairseq.data import Dictionary

    check_file(path)
    try:
        dictionary = Dictionary.load(str(path))
    except Exception as error:  # fairseq raises a plain Exception for what is not UTF-8
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a readable fairseq dictionary: {said}") from error
    mask_index = dictionary.add_symbol(MASK)
    if mask_index != len(dictionary) - 1:
        raise UserError(f"{path}: {MASK} is entry {mask_index}, it has to be the last of {len(dictionary)}")
    own = dictionary.symbols[len(SPECIALS) : mask_index]
    dictionary.symbols[len(SPECIALS) : mask_index] = entries(own)
    dictionary.indices = {symbol: index for index, symbol in enumerate(dictionary.symbols)}
    return dictionary


def check_dictionary(dictionary: "Dictionary", sentencepiece_path: str | Path) -> None:
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
