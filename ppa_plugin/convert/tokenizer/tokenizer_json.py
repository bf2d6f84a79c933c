"""Hugging Face's tokenizer files for a SentencePiece model, and the SentencePiece model of a checkpoint."""

import json
import os
import random
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import Tokenizer

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.hugging_face import SENTENCEPIECE, read_config
from ppa_plugin.convert.tokenizer import normalizer
from ppa_plugin.data import vocabulary
from ppa_plugin.files import check_file, is_file
from ppa_plugin.model.checkpoint import data_directories
from ppa_plugin.model.families import of_config

# Not XLMRobertaTokenizer: of Transformers 5 it takes nothing but the pieces out of tokenizer.json, and normalises
# otherwise. The slow class of Transformers 4, which reads the SentencePiece model, can be asked for by its name.
_TOKENIZER_CONFIG = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "mask_token": "<mask>",
    "model_input_names": ["input_ids", "attention_mask"],
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "<unk>",
}
_WORD = "▁"  # SentencePiece's mark of a word's beginning
_PROBED_PIECES = 4000
PIECES_A_LINE = 8  # of the lines on which two ways to encode are compared
_NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
# White space of all kinds, at the ends and in runs, and characters in which the two libraries are known to differ.
_PROBES = (
    "",
    " ",
    " two  spaces ",
    "\ttab\u00a0no-break\u3000ideographic\u2009thin",
    "a\u0085b\u200bc\u00add\ufeffe",
    "line\r\nfeed\u2028and\u2029others",
    f"{_WORD}mark {_WORD} of{_WORD}{_WORD}words",
    "ｶﾞｷﾞﾊﾟ ｱｲｳ ＡＢＣ１２３ ㈱ ﬁ ½ ℃ ™ ㋿",
    "\u1112\u1161\u11ab\u1100\u1173\u11af ㅎㅏㄴㄱㅡㄹ 한\u11ab",
    "Vie\u0323\u0302t a\u0302\u0323 e\u0301\u0323\u0302 \u0301x \u1f00\u0301\u0345 α\u0313\u0301\u0345",
    "شَدَّة بِّسْمِ שָׁלוֹם נִקּוּד क़ कि क् ก็ กำ น้ำ",
    "👨\u200d👩\u200d👧 👍🏽 🇬🇷 e\u20dd 1\ufe0f\u20e3",
    "unknown: 𓀀 𒀀 \U0010fffd",
)


def check_size(tokenizer: str | Path, rows: int, model: str | Path, padding: int = 0) -> None:
    """Raise `UserError`, naming both sizes, where a tokenizer's ids are not the rows of a model's embedding matrix.

    The last `padding` rows belong to no id.
    """
    size = vocabulary.vocabulary_size(tokenizer)
    if size != rows - padding:
        of_them = f", {padding} of them padding" if padding else ""
        raise UserError(f"{model} has {rows} embeddings{of_them}, the dictionary of {tokenizer} has {size} entries")


def write_tokenizer(directory: Path, sentencepiece_path: str | Path) -> None:
    """Write `sentencepiece.bpe.model`, `tokenizer.json` and `tokenizer_config.json` to a directory with a config.json.

    Of a model whose tokenizer is a `tokenizer.json`, its files are copied.

    `tokenizer.json` encodes as SentencePiece does, by which training reads text: ids are SentencePiece's + 1, `<unk>` 3
    and `<mask>` last. It is tried on `probe_lines`.
    Raises `UserError` where the model encodes some text otherwise than the tokenizers library can.
    """
    if vocabulary.is_tokenizer_json(sentencepiece_path):
        for name, file in vocabulary.tokenizer_files(sentencepiece_path).items():
            shutil.copyfile(file, directory / name)
        return
    processor = vocabulary.load_sentencepiece(sentencepiece_path)
    try:
        tokenizer = build(processor)
    except ValueError as error:
        raise UserError(f"{sentencepiece_path}: its rules cannot be written as a tokenizer.json: {error}") from None
    differing = first_difference(tokenizer, processor, probe_lines(processor))
    if differing is not None:
        raise UserError(
            f"{sentencepiece_path} encodes {differing!r} otherwise than its tokenizer.json would; a model of another "
            "kind than XLM-R's cannot be converted"
        )
    shutil.copyfile(sentencepiece_path, directory / SENTENCEPIECE)
    described = json.loads(tokenizer.to_str())
    for part in ("pre_tokenizer", "decoder"):
        # what releases of the library before 0.19, as of Transformers 4.30, ask of Metaspace
        space = described[part]
        space |= {"str_rep": space["replacement"], "add_prefix_space": space["prepend_scheme"] != "never"}
    text = json.dumps(described, indent=2, ensure_ascii=False)
    (directory / "tokenizer.json").write_text(text, encoding="utf-8")
    config = read_config(directory)
    longest = of_config(config, directory).positions(config)
    text = json.dumps({**_TOKENIZER_CONFIG, "model_max_length": longest}, indent=2, sort_keys=True) + "\n"
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")


def build(processor: sentencepiece.SentencePieceProcessor) -> Tokenizer:
    """The tokenizer of the tokenizers library that encodes as SentencePiece does.

    Raises `ValueError` where the model's rules of normalisation cannot be written for it.
    """
    model = ModelProto.FromString(processor.serialized_model_proto())
    rules = model.normalizer_spec
    steps = list(normalizer.steps(rules.precompiled_charsmap))
    if rules.remove_extra_whitespaces:
        # not the library's Strip, which takes away what Python and Unicode call white space: U+0085 is a piece of XLM-R
        steps += [
            normalizer.replacement(" {2,}", " ", regular=True),
            normalizer.replacement(r"\A | \z", "", regular=True),
        ]
    if rules.add_dummy_prefix:
        # not Metaspace's own, which leaves it out where the text begins with the mark itself
        steps.append({"type": "Prepend", "prepend": _WORD})
    pieces = _scored_pieces(model)
    # words are cut one by one, unless a piece reaches from one into the next
    split = not any(_WORD in piece[1:] for piece, _ in pieces)
    space = {"type": "Metaspace", "replacement": _WORD, "prepend_scheme": "never", "split": split}
    specials = [*enumerate(vocabulary.SPECIALS), (len(pieces) - 1, vocabulary.MASK)]
    begin, end = ({"SpecialToken": {"id": special, "type_id": 0}} for special in ("<s>", "</s>"))
    one, other = ({"Sequence": {"id": which, "type_id": 0}} for which in "AB")
    described = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(index, content) for index, content in specials],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": space,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, one, end],
            "pair": [begin, one, end, end, other, end],
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for i, t in ((0, "<s>"), (2, "</s>"))},
        },
        "decoder": {**space, "prepend_scheme": "always" if rules.add_dummy_prefix else "never"},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": pieces, "byte_fallback": False},
    }
    return Tokenizer.from_str(json.dumps(described))


def _scored_pieces(model: ModelProto) -> list[tuple[str, float]]:
    """Every id's piece and score. Pieces that no text becomes have names that no text has."""
    kinds = ModelProto.SentencePiece
    named = vocabulary.entries([piece.piece for piece in model.pieces[3:]])
    scored = [(special, 0.0) for special in vocabulary.SPECIALS]
    taken = {*vocabulary.SPECIALS, vocabulary.MASK}
    for piece, name in zip(model.pieces[3:], named, strict=True):
        unused = piece.type in (kinds.UNUSED, kinds.CONTROL) or piece.piece in taken
        scored.append((f"{normalizer.CUT}{name}" if unused else piece.piece, piece.score))
    return [*scored, (vocabulary.MASK, 0.0)]


def _special(index: int, content: str) -> dict[str, Any]:
    # <mask> takes the space before it, so that "the <mask>" is not "the", a space and a mask
    mask = content == vocabulary.MASK
    flags = {"single_word": False, "lstrip": mask, "rstrip": False, "normalized": False, "special": True}
    return {"id": index, "content": content, **flags}


def probe_lines(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    """Lines on which two ways to encode are compared: the model's own pieces, white space, text of many scripts.

    All of it composed and decomposed. At most some thousands of the ordinary pieces, always the same ones.
    """
    model = ModelProto.FromString(processor.serialized_model_proto())
    ordinary = [piece.piece for piece in model.pieces if piece.type == piece.NORMAL]
    chosen = random.Random(1).sample(ordinary, min(len(ordinary), _PROBED_PIECES))
    parts = (chosen[start : start + PIECES_A_LINE] for start in range(0, len(chosen), PIECES_A_LINE))
    lines = [*_PROBES, *("".join(part).replace(_WORD, " ") for part in parts)]
    lines += [unicodedata.normalize(form, line) for line in lines for form in _NORMAL_FORMS]
    return list(dict.fromkeys(without_specials(lines)))


def without_specials(lines: Iterable[str]) -> list[str]:
    """The lines that spell no special: the tokenizers library reads them in text, SentencePiece does not."""
    specials = (*vocabulary.SPECIALS, vocabulary.MASK)
    return [line for line in lines if not any(special in line for special in specials)]


def first_difference(
    tokenizer: Tokenizer, processor: sentencepiece.SentencePieceProcessor, lines: Sequence[str]
) -> str | None:
    """The first line that a tokenizer and a SentencePiece model encode otherwise; None where there is none."""
    theirs = tokenizer.encode_batch(list(lines), add_special_tokens=False)
    for line, ids, encoded in zip(lines, processor.encode(list(lines)), theirs, strict=True):
        if vocabulary.to_indices(ids).tolist() != encoded.ids:
            return line
    return None


def find_tokenizer(tokenizer: str | None, checkpoint: dict[str, Any], checkpoint_path: Path, name: str) -> Path:
    """The tokenizer's file of a checkpoint, of the `name` that its family says.

    `tokenizer`, a file or a directory, decides where it is given; else it is looked for in the first of the shards that
    the checkpoint was trained on and up to two levels above it, as the task finds its dictionary, then beside the
    checkpoint and one level up.
    Raises `UserError`, naming the places, where there is none.
    """
    if tokenizer is not None:
        return given_tokenizer(tokenizer, name)
    beside = checkpoint_path.absolute().parent
    places = [directory / name for directory in (*data_directories(checkpoint), beside, beside.parent)]
    for place in places:
        if is_file(place):
            return place
    raise UserError(f"no {_kind(name)} at {', '.join(map(str, places))}; pass --tokenizer DIR|FILE")


def given_tokenizer(given: str, name: str, named: str = "") -> Path:
    """The file that `--tokenizer` names, itself or by its directory, where it is `name`; else `UserError`."""
    path = Path(given) / name if Path(given).is_dir() else Path(given)
    if not is_file(path):
        if os.path.lexists(path):
            check_file(path, "--tokenizer")
        raise UserError(f"{named}no {_kind(name)} at {path}")
    if vocabulary.is_tokenizer_json(path) != vocabulary.is_tokenizer_json(name):
        raise UserError(f"{named}{path} is not of the kind of {name}, which this model's tokenizer is")
    return path


def _kind(name: str) -> str:
    return name if vocabulary.is_tokenizer_json(name) else "SentencePiece model"
