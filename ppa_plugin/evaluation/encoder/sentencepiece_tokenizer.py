"""XLM-R's tokenizer on SentencePiece itself, as training encodes text and as the paper's evaluation did."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.hugging_face import SENTENCEPIECE, read_config
from ppa_plugin.convert.tokenizer.sentencepiece_file import added_tokens
from ppa_plugin.data.masking import BOS, EOS, PAD, UNK
from ppa_plugin.data.vocabulary import MASK, SPECIALS, load_sentencepiece, to_indices
from ppa_plugin.files import read_json_object
from ppa_plugin.model.families import FAMILIES

# model types that training reads with SentencePiece
_OF_FAMILIES = {family.model_type for family in FAMILIES.values() if family.tokenizer == SENTENCEPIECE}
# Transformers' "no limit", where a directory states none
_UNLIMITED = int(1e30)


class SentencePieceTokenizer:
    """What evaluation asks of a tokenizer of Transformers, with the ids that training gives.

    `<s> text </s>`; id = SentencePiece's + 1, `<unk>` 3, `<mask>` last. Specials that a text spells are text.
    `processor` is the SentencePiece model.

    Raises:
        UserError: where the file is no SentencePiece model as XLM-R's.
    """

    pad_token_id, unk_token_id = PAD, UNK

    def __init__(self, path: Path, model_max_length: int):
        self.processor = load_sentencepiece(path)
        self.model_max_length = model_max_length

    def __len__(self) -> int:
        return self.processor.get_piece_size() + 2  # <pad> and <mask>

    def __call__(
        self,
        text: str | Iterable[str],
        add_special_tokens: bool = True,
        truncation: bool = False,
        max_length: int | None = None,
        **_: Any,
    ) -> dict[str, list]:
        """{"input_ids": ids of a text, or of each of several}; with `truncation` at most `max_length` a text."""
        texts = [text] if isinstance(text, str) else list(text)
        longest = (max_length or self.model_max_length) if truncation else None
        if longest is not None and add_special_tokens:
            longest = max(0, longest - 2)
        ids = [to_indices(pieces).tolist()[:longest] for pieces in self.processor.encode(texts)]
        if add_special_tokens:
            ids = [[BOS, *row, EOS] for row in ids]
        return {"input_ids": ids[0] if isinstance(text, str) else ids}


def find(directory: Path) -> SentencePieceTokenizer | None:
    """The tokenizer of a directory of a family with XLM-R's tokenizer that has its SentencePiece model, else None.

    None too, and a line on stderr, where tokens have been added to the tokenizer since: SentencePiece knows none of
    them. Raises `UserError` where the file is no SentencePiece model as XLM-R's.
    """
    path = directory / SENTENCEPIECE
    if not path.is_file() or read_config(directory).get("model_type") not in _OF_FAMILIES:
        return None
    tokenizer = SentencePieceTokenizer(path, _stated_length(directory))
    own = {*SPECIALS, MASK}
    added = sorted(t for t, index in added_tokens(directory).items() if index >= len(tokenizer) and t not in own)
    if added:
        sys.stderr.write(
            f"note: {directory}: {len(added)} tokens ({added[0]!r}, ...) were added to the tokenizer, which "
            f"{SENTENCEPIECE} does not have; tokenizer.json decides\n"
        )
        return None
    return tokenizer


def _stated_length(directory: Path) -> int:
    try:
        length = read_json_object(directory / "tokenizer_config.json").get("model_max_length")
    except UserError:  # it is missing or holds something else, which Transformers will say
        return _UNLIMITED
    return int(length) if type(length) in (int, float) and 0 < length < _UNLIMITED else _UNLIMITED
