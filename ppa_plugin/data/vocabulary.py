"""One dictionary for everything: fairseq index = Hugging Face id, of a SentencePiece model or of a `tokenizer.json`.

Of XLM-R's SentencePiece models the index is SentencePiece's id + 1, `<mask>` the last, and `dict.txt` lacks the four
specials that fairseq puts first. Of a `tokenizer.json` every id is a line, and five lines are marked as specials:

    <bos> 1 #ppa:bos
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec

from ppa_plugin.commandline import UserError
from ppa_plugin.data.masking import BOS, EOS, Specials
from ppa_plugin.data.tokenizer_file import FILES, TOKENIZER_JSON, load_tokenizer_file
from ppa_plugin.files import check_file, count_lines, decode_text, is_file, reading, write_beside

if TYPE_CHECKING:
    from fairseq.data import Dictionary

SENTENCEPIECE = "sentencepiece.bpe.model"
MASK = "<mask>"
# XLM-R's four specials precede the pieces; SentencePiece's own three (<unk> <s> </s>) are left out.
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
_SENTENCEPIECE_SPECIALS = ["<unk>", "<s>", "</s>"]
# what a line of `dict.txt` ends in that is a special of a tokenizer.json
_MARK = " #ppa:"
_MARKED = re.compile(rf"^(\S+) 1{_MARK}(\w+)$")


def is_tokenizer_json(path: str | Path) -> bool:
    """Whether a tokenizer's file is a `tokenizer.json`, and no SentencePiece model."""
    return Path(path).suffix == ".json"


def find_tokenizer(directory: Path) -> Path | None:
    """The tokenizer's file of a directory: SentencePiece's where there is one, else a `tokenizer.json`, else None."""
    return next((directory / name for name in (SENTENCEPIECE, TOKENIZER_JSON) if is_file(directory / name)), None)


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


def tokenizer_files(path: str | Path) -> dict[str, Path]:
    """{name: file} of what belongs to a tokenizer's file, itself too, under the names that copies have."""
    path = Path(path)
    if not is_tokenizer_json(path):
        return {SENTENCEPIECE: path}
    beside = {name: path.with_name(name) for name in FILES[1:]}
    return {FILES[0]: path, **{name: file for name, file in beside.items() if is_file(file)}}


def entries(pieces: Sequence[str], first: int = len(SPECIALS), taken: Sequence[str] = (*SPECIALS, MASK)) -> list[str]:
    """The dictionary's names of pieces whose indices begin at `first`, of which none is in `taken`.

    By default XLM-R's from SentencePiece's id 3 on: the lines of `dict.txt` but for the last one, `<mask>`. A piece
    has its own spelling, unless fairseq's text cannot hold it: XLM-R's piece U+0085 and others in which Python sees
    white space, and those that spell one of the specials or repeat another piece. Such a one is named by its index,
    `<id:97636>`, so that every entry is found by its name and stands at its Hugging Face id.
    """
    spelled, taken = set(pieces), set(taken)
    names = []
    for index, piece in enumerate(pieces, first):
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


def dictionary_entries(path: str | Path) -> list[str]:
    """The lines of `dict.txt` for a tokenizer's file, without their counts.

    Raises `UserError` as `load_sentencepiece` or `TokenizerFile` does.
    """
    if is_tokenizer_json(path):
        return entries(load_tokenizer_file(path).tokens, first=0, taken=())
    return [*entries(pieces(load_sentencepiece(path))), MASK]


def vocabulary_size(path: str | Path) -> int:
    """The number of ids that a tokenizer's file makes; raises as `dictionary_entries` does."""
    return len(dictionary_entries(path)) + (0 if is_tokenizer_json(path) else len(SPECIALS))


def around(path: str | Path) -> tuple[str, str]:
    """The tokens that stand before and after every text, as a tokenizer's file spells them."""
    if not is_tokenizer_json(path):
        return SPECIALS[BOS], SPECIALS[EOS]
    file = load_tokenizer_file(path)
    return file.tokens[file.specials.bos], file.tokens[file.specials.eos]


class TextEncoder:
    """Text to the dictionary's indices, with a SentencePiece model or a `tokenizer.json`; `specials` are its own.

    Raises `UserError` as `load_sentencepiece` or `TokenizerFile` does.
    """

    def __init__(self, path: str | Path):
        if is_tokenizer_json(path):
            file = load_tokenizer_file(path)
            self.specials, self.encode = file.specials, file.encode
        else:
            processor = load_sentencepiece(path)
            self.specials = Specials.xlmr(vocabulary_size(path))
            self.encode = lambda lines: [to_indices(ids) for ids in processor.encode(list(lines))]


def to_indices(ids: list[int]) -> np.ndarray:
    """SentencePiece ids of one sentence -> dictionary indices (T,), without specials: id + 1, and 3 for `<unk>`."""
    ids = np.array(ids, dtype=np.int64)
    return np.where(ids == 0, SPECIALS.index("<unk>"), ids + 1)


def write_dictionary(path: str | Path, dict_path: str | Path) -> int:
    """Write `dict.txt` for a tokenizer's file and return the size of the vocabulary, specials included.

    Raises `UserError` as `dictionary_entries` does.
    """
    lines, marks = dictionary_entries(path), {}
    if is_tokenizer_json(path):
        roles = load_tokenizer_file(path).specials._asdict()
        marks = {index: f"{_MARK}{role}" for role, index in roles.items() if index >= 0}
    with write_beside(dict_path) as handle:
        handle.writelines(f"{entry} 1{marks.get(i, '')}\n" for i, entry in enumerate(lines))
    return len(lines) + (0 if is_tokenizer_json(path) else len(SPECIALS))


def layout(dict_path: Path) -> tuple[int, Specials]:
    """The entries of a dictionary and its specials, from its file."""
    marked = _marked(dict_path)
    size = count_lines(dict_path)
    return (size + len(SPECIALS), Specials.xlmr(size + len(SPECIALS))) if marked is None else (size, marked[1])


def _marked(path: str | Path) -> tuple[list[str], Specials] | None:
    """The names in a `dict.txt` that marks its specials, and these; None where it is XLM-R's."""
    content = Path(path).read_bytes()
    if _MARK.encode() not in content:
        return None
    names, roles = [], {}
    # not splitlines(), which knows other ends of lines
    for number, line in enumerate(decode_text(content, path).removesuffix("\n").split("\n"), 1):
        name, _, count = line.partition(" ")
        if match := _MARKED.match(line):
            roles[match.group(2)] = number - 1
        elif count != "1":
            raise UserError(f"{path}, line {number}: {line[:60]!r} is not a token and 1")
        names.append(name)
    roles.setdefault("unk", -1)
    if roles.keys() != set(Specials._fields) or len(set(names)) < len(names):
        raise UserError(f"{path} does not mark each of the specials {', '.join(Specials._fields)} once; write it again")
    return names, Specials(**roles)


def load_dictionary(path: str | Path) -> "Dictionary":
    """Load `dict.txt`, ours or that of fairseq's own XLM-R release, as `dictionary_entries` names its entries.

    It has `specials`, their indices. The release lacks `<mask>`, which becomes the last entry, and spells pieces that
    are escaped here. Raises `UserError` where the file is not such a dictionary.
    """
    from fairseq.data import Dictionary

    check_file(path)
    if (marked := _marked(path)) is not None:
        return _dictionary(*marked)
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
    dictionary.specials = Specials.xlmr(len(dictionary))
    return dictionary


def _dictionary(names: list[str], specials: Specials) -> "Dictionary":
    """fairseq's dictionary with specials in other places than its own."""
    from fairseq.data import Dictionary

    dictionary = Dictionary()
    dictionary.symbols, dictionary.count = names, [1] * len(names)
    dictionary.indices = {name: index for index, name in enumerate(names)}
    for role in ("bos", "pad", "eos", "unk"):
        index = getattr(specials, role)
        setattr(dictionary, f"{role}_index", index)
        setattr(dictionary, f"{role}_word", names[index] if index >= 0 else None)
    dictionary.specials = specials
    return dictionary


def check_dictionary(dictionary: "Dictionary", path: str | Path) -> None:
    """Raise `UserError` unless the dictionary's every index is the id that the tokenizer's file has for the token."""
    expected = [*(() if is_tokenizer_json(path) else SPECIALS), *dictionary_entries(path)]
    if dictionary.symbols == expected:
        if dictionary.specials != (specials := TextEncoder(path).specials):
            raise UserError(f"dict.txt has the specials {dictionary.specials}, {path} has {specials}; binarize again")
        return
    if len(dictionary) != len(expected):
        difference = f"dict.txt has {len(dictionary)} entries, {path} makes {len(expected)}"
    else:
        index = next(i for i, (a, b) in enumerate(zip(dictionary.symbols, expected, strict=True)) if a != b)
        difference = f"dict.txt entry {index} is {dictionary[index]!r}, {path} has {expected[index]!r}"
    raise UserError(f"{difference}: not of the same model; binarize again with your checkpoint's tokenizer")
