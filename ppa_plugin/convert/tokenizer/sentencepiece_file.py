"""The SentencePiece model of a Hugging Face directory, and the proof that a `tokenizer.json` makes the same ids.

A directory that Transformers 5 saved holds `tokenizer.json` alone. Training encodes with SentencePiece, so the model
that the ids come from has to be found, beside it under another name or where the user says.
"""

import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from tokenizers import Tokenizer

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.hugging_face import SENTENCEPIECE
from ppa_plugin.convert.tokenizer import normalizer
from ppa_plugin.convert.tokenizer.tokenizer_json import (
    PIECES_A_LINE,
    first_difference,
    given_tokenizer,
    without_specials,
)
from ppa_plugin.data import vocabulary
from ppa_plugin.files import read_json_object, reading

_TOKENIZER_JSON = "tokenizer.json"
_INDEX = re.compile(r"[0-9]{1,9}")
# a line in each of many scripts, with what normalization changes: widths, ligatures, spaces of other kinds
_LINES = """\
Peace and quiet return to the city.
La ﬁn de l\u2019été\u00a0: 25\u202f% en plus … ½ m²
Мир и тишина возвращаются в город.
Η ειρήνη και η ησυχία επιστρέφουν στην πόλη.
שלום ושקט חוזרים אל העיר.
صلح و آرامش به شهر باز می\u200cگردد.
शांति और सन्नाटा शहर में लौट आते हैं।
ความสงบสุขกลับคืนสู่เมือง
ሰላምና ጸጥታ ወደ ከተማው ይመለሳሉ።
平安与宁静回到了城里。ＡＢＣ１２３
平和と静けさが街に戻ってくる。
평화와 고요가 도시로 돌아온다.
 two  spaces, a tab\tand an end """


def find_sentencepiece(source: Path, given: str | None) -> Path:
    """The SentencePiece model of a Hugging Face directory: what the user gave, `sentencepiece.bpe.model`, another one.

    One that has not its usual place and name has to make the ids of the directory's `tokenizer.json`.
    Raises `UserError` where there is none, or where it is another tokenizer's.
    """
    tokenizer_json = source / _TOKENIZER_JSON
    if given is not None:
        path = given_tokenizer(given, SENTENCEPIECE, "--tokenizer: ")
        if tokenizer_json.is_file():
            check_tokenizer_agrees(tokenizer_json, path)
        return path
    if (source / SENTENCEPIECE).is_file():
        return source / SENTENCEPIECE
    others = sorted(source.glob("*.model")) if tokenizer_json.is_file() else []
    for number, path in enumerate(others, 1):
        try:
            check_tokenizer_agrees(tokenizer_json, path)
        except UserError:
            if number == len(others):
                raise
        else:
            return path
    raise UserError(
        f"{source} holds no {SENTENCEPIECE}; copy the one that the model was trained with there, or pass --tokenizer "
        "FILE (Transformers 5 leaves it out of what it saves)"
    )


def check_tokenizer_agrees(tokenizer_json: Path, sentencepiece_path: Path) -> None:
    """Raise `UserError` unless both make the same ids, shown piece by piece and by encoding `plain_lines`."""
    with reading(tokenizer_json, "a tokenizer.json"):
        content = read_json_object(tokenizer_json)
        model = content.get("model")
        rows = model.get("vocab") if isinstance(model, dict) and model.get("type") == "Unigram" else None
        if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
            raise UserError(f"{tokenizer_json} is not of a unigram SentencePiece model, as XLM-R's")
        processor = vocabulary.load_sentencepiece(sentencepiece_path)
        differs = f"{tokenizer_json} and {sentencepiece_path} are not of the same tokenizer"
        pieces, first = vocabulary.pieces(processor), len(vocabulary.SPECIALS)
        expected = [*vocabulary.SPECIALS, *pieces, vocabulary.MASK]
        ids = {index: piece for index, (piece, _) in enumerate(rows)}
        ids |= {index: token for token, index in _added(content).items()}
        # our own files name a piece so that no text becomes
        unused = {i: f"{normalizer.CUT}{name}" for i, name in enumerate(vocabulary.entries(pieces), first)}
        differing = [i for i, piece in enumerate(expected) if ids.get(i) not in (piece, unused.get(i, piece))]
        if differing or len(ids) != len(expected):
            index = next(iter(differing), len(expected))
            other = repr(expected[index]) if index < len(expected) else "none"
            raise UserError(f"{differs}: id {index} is {ids.get(index, 'none')!r} in the former, {other} in the latter")
        scores = [processor.get_score(i) for i in range(3, processor.get_piece_size())]
        theirs = [score for _, score in rows[first : first + len(scores)]]
        if not np.array_equal(np.float32(theirs), np.float32(scores)):
            raise UserError(f"{differs}: the pieces are the same and their scores are not")
        _check_encodings(tokenizer_json, processor, differs)


def _check_encodings(tokenizer_json: Path, processor: sentencepiece.SentencePieceProcessor, differs: str) -> None:
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_json))
    except Exception as error:  # the library raises plain Exceptions
        raise UserError(f"{tokenizer_json} cannot be read by the tokenizers library ({error})") from None
    differing = first_difference(tokenizer, processor, plain_lines(processor))
    if differing is not None:
        raise UserError(f"{differs}: they encode {differing!r} otherwise")


def plain_lines(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    """Every piece of the model once and text in many scripts, composed: as Transformers' own files read it right."""
    words = [piece.replace("▁", " ").strip() for piece in vocabulary.pieces(processor)]
    # a piece that begins with a mark makes no text by itself: it belongs to the letter before it
    words = [word for word in words if word and not unicodedata.category(word[0]).startswith("M")]
    parts = [" ".join(words[start : start + PIECES_A_LINE]) for start in range(0, len(words), PIECES_A_LINE)]
    return [*_LINES.split("\n"), *without_specials(unicodedata.normalize("NFC", part) for part in parts)]


def added_tokens(source: Path) -> dict[str, int]:
    """{token: id} of what was added to a directory's tokenizer, its specials included.

    Transformers has written them in three places. Raises `UserError` where one of these files is no JSON object.
    """

    def content(name: str) -> dict[str, Any]:
        return read_json_object(source / name) if (source / name).is_file() else {}

    found = _added(content(_TOKENIZER_JSON))
    numbered = content("tokenizer_config.json").get("added_tokens_decoder")
    entries = numbered.items() if isinstance(numbered, dict) else ()
    found |= _added(
        {"added_tokens": [{**e, "id": int(i)} for i, e in entries if isinstance(e, dict) and _INDEX.fullmatch(i)]}
    )
    return found | {token: index for token, index in content("added_tokens.json").items() if isinstance(index, int)}


def _added(content: dict[str, Any]) -> dict[str, int]:
    tokens = content.get("added_tokens")
    tokens = [token for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []
    listed = [(token.get("content"), token.get("id")) for token in tokens]
    return {content: index for content, index in listed if isinstance(content, str) and isinstance(index, int)}
