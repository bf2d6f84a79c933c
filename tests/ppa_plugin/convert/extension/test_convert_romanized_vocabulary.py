"""The vocabulary romanized, by hand: which pieces are new, with which scores and rows, and what stays as it was."""

from pathlib import Path

import pytest
import sentencepiece
import uroman
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.extension import romanized_vocabulary
from ppa_plugin.convert.extension.new_pieces import Pieces
from ppa_plugin.convert.extension.romanized_vocabulary import romanized_pieces, romanizing, transmi

LATIN, CYRILLIC = "abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчш"
# scores are halves and quarters, which 32 bits hold
SCORED = {
    "▁": -6.0,  # SentencePiece id 3, row 4
    "▁город": -9.0,
    "▁да": -7.0,
    "▁δα": -5.0,  # the same romanization as the one before, more probable
    "▁до": -4.5,
    "▁do": -8.0,  # what the one before is romanized to is a piece
    "град": -9.5,
    "▁ναι": -8.25,
    "▁най": -8.25,  # as probable as the one before
    "▁най-": -9.25,
    "ъ": -20.0,  # has no romanization
    "。「": -10.0,  # has one with a space, `. "`
    "да▁нет": -15.5,  # neither is there a new piece that reaches from one word into the next
    "▁нет": -10.5,
    "▁été": -11.0,  # Latin letters with marks are romanized too
    "ш": -12.5,
    "ש": -12.75,
    "щ": -13.0,
    "δ": -14.0,  # `d` is a piece
}
# the new pieces, the old ones that they stand for, and what both ways to merge make of them
EXPECTED = {
    "▁da": (["▁да", "▁δα"], -6.0, -5.0, ["▁δα"]),
    "▁nai": (["▁ναι", "▁най"], -8.25, -8.25, ["▁ναι"]),
    "▁nai-": (["▁най-"], -9.25, -9.25, ["▁най-"]),
    "▁gorod": (["▁город"], -9.0, -9.0, ["▁город"]),
    "grad": (["град"], -9.5, -9.5, ["град"]),
    "▁net": (["▁нет"], -10.5, -10.5, ["▁нет"]),
    "▁ete": (["▁été"], -11.0, -11.0, ["▁été"]),
    "sh": (["ш", "ש"], -12.625, -12.5, ["ш"]),
    "shch": (["щ"], -13.0, -13.0, ["щ"]),
}


def model_of(scored: dict[str, float], path: Path) -> Path:
    """A unigram model laid out as XLM-R's, of these pieces from id 3 on."""
    model = ModelProto()
    for special, kind in (("<unk>", "UNKNOWN"), ("<s>", "CONTROL"), ("</s>", "CONTROL")):
        model.pieces.add(piece=special, type=getattr(ModelProto.SentencePiece, kind))
    for piece, score in scored.items():
        model.pieces.add(piece=piece, score=score)
    model.normalizer_spec.name = "identity"
    path.write_bytes(model.SerializeToString())
    return path


def loaded(model: ModelProto) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    letters = dict.fromkeys(LATIN, -16.0)
    return Pieces(model_of(SCORED | letters, tmp_path_factory.mktemp("pieces") / "by_hand.model"))


@pytest.fixture(scope="module")
def ids(base):
    return {piece.piece: i for i, piece in enumerate(base.proto.pieces)}


@pytest.fixture(scope="module")
def found(base):
    return romanized_pieces(base)


def test_the_new_pieces_are_the_romanizations_that_are_none_yet(found, ids):
    assert found == {new: [ids[old] for old in stands_for] for new, (stands_for, *_) in EXPECTED.items()}


def test_mean_is_the_mean_of_scores_and_of_rows(base, found, ids):
    scores, parts = transmi(base, found, "mean")
    assert scores == {new: mean for new, (_, mean, _, _) in EXPECTED.items()}
    assert parts == {new: [ids[old] + 1 for old in stands_for] for new, (stands_for, *_) in EXPECTED.items()}
    assert list(scores) == sorted(scores, key=lambda piece: (-scores[piece], piece))


def test_max_is_score_and_row_of_the_highest(base, found, ids):
    scores, parts = transmi(base, found, "max")
    assert scores == {new: highest for new, (_, _, highest, _) in EXPECTED.items()}
    assert parts == {new: [ids[old] + 1 for old in chosen] for new, (*_, chosen) in EXPECTED.items()}


def test_a_romanization_is_read_as_the_model_reads_text(sentencepiece_path, tmp_path):
    """uroman writes the Thai mark of repetition as a superscript, which XLM-R's normalization makes a digit."""
    model = ModelProto.FromString(model_of({"▁": -1.0, "อื่นๆ": -2.0}, tmp_path / "thai.model").read_bytes())
    assert list(romanized_pieces(Pieces(tmp_path / "thai.model"))) == ["ueen²"]
    model.normalizer_spec.CopyFrom(Pieces(sentencepiece_path).proto.normalizer_spec)
    (tmp_path / "thai.model").write_bytes(model.SerializeToString())
    assert list(romanized_pieces(Pieces(tmp_path / "thai.model"))) == ["ueen2"]


def test_nothing_new_is_said(base):
    with pytest.raises(UserError, match=r"--init max: the romanization of every piece is in the vocabulary already"):
        transmi(base, {}, "max")


@pytest.mark.parametrize("merge", ["mean", "max"])
def test_old_pieces_keep_ids_and_scores_and_text_its_tokens(merge, base, found):
    before, after = base.processor, loaded(base.extended(transmi(base, found, merge)[0]))
    size = before.get_piece_size()
    for i in range(size):
        assert (after.id_to_piece(i), after.get_score(i)) == (before.id_to_piece(i), before.get_score(i))
    assert after.get_piece_size() == size + len(EXPECTED)
    # also with letters that the model does not know, whose cost depends on the lowest score
    for text in ("город да нет", "ναι δα до", "найъщ ши ש", "été", "do dom", "город。「най-", "☃ δאда"):
        assert after.encode(text) == before.encode(text)
    # a Latin original changes where it is written as a romanization is
    assert before.encode("da", out_type=str) == ["▁", "d", "a"]
    assert after.encode("da", out_type=str) == ["▁da"]


def test_romanized_text_becomes_the_new_pieces_and_comes_back(base, found):
    after = loaded(base.extended(transmi(base, found, "max")[0]))
    text = "da gorodgrad nai do ete nai-net shche"
    ids = after.encode(text)
    pieces = ["▁da", "▁gorod", "grad", "▁nai", "▁do", "▁ete", "▁nai-", *"net", "▁", "shch", "e"]
    assert [after.id_to_piece(i) for i in ids] == pieces
    assert after.decode(ids) == text


@pytest.fixture(scope="module")
def reference():
    """uroman as its command line romanizes."""
    return uroman.Uroman(cache_size=65536)


WORDS = st.dictionaries(
    st.text(CYRILLIC, min_size=1, max_size=8), st.integers(-60, -20).map(lambda n: n / 4), min_size=1, max_size=6
)


@given(words=WORDS, merge=st.sampled_from(["mean", "max"]))
def test_a_word_that_is_a_piece_is_one_when_it_is_romanized(words, merge, reference, tmp_path_factory):
    """Whatever the words and scores, where nothing else is cheaper: a letter alone costs more than any word."""
    scored = {f"▁{word}": score for word, score in words.items()}
    path = tmp_path_factory.getbasetemp() / "words.model"
    base = Pieces(model_of(scored | dict.fromkeys(["▁", *LATIN, *CYRILLIC], -20.0), path))
    scores, parts = transmi(base, romanized_pieces(base), merge)
    after = loaded(base.extended(scores))
    text = " ".join(words)
    assert after.encode(text) == base.processor.encode(text)
    romanized = [reference.romanize_string(word) for word in words]
    assert after.encode(" ".join(romanized), out_type=str) == [f"▁{latin}" for latin in romanized]
    rows = {f"▁{word}": row for row, word in enumerate(words, 4)}
    for latin in romanized:
        same = [f"▁{word}" for word, other in zip(words, romanized, strict=True) if other == latin]
        assert set(parts[f"▁{latin}"]) <= {rows[piece] for piece in same}
        assert min(scored[piece] for piece in same) <= scores[f"▁{latin}"] <= max(scored[piece] for piece in same)


def test_a_romanized_piece_is_made_of_the_pieces_that_it_romanizes(sentencepiece_path, reference):
    base = Pieces(sentencepiece_path)
    rows = {piece.piece: i + 1 for i, piece in enumerate(base.proto.pieces) if i > 2}
    romanized = {}
    for piece, row in rows.items():
        body = piece.lstrip("▁")
        if not body.isascii():
            romanized.setdefault(piece[: len(piece) - len(body)] + reference.romanize_string(body), []).append(row)
    assert {rows["ш"], rows["ש"]} <= set(romanized["sh"])
    found = romanizing(base, ["sh", "kh", "▁sh", "none"])
    assert found == {piece: romanized[piece] for piece in ("sh", "kh", "▁sh") if piece in romanized}
    everything = romanizing(base, romanized)
    assert everything == {new: old for new, old in romanized.items() if new in everything}
    assert {new for new in romanized if new.isalpha()} - everything.keys() <= rows.keys()


class Failing:
    """A romanizer that fails on one letter."""

    version = "1"

    def romanize(self, line: str, lang: str | None) -> str:
        if line == "ש":
            raise AttributeError("'Edge' object has no attribute 'value'")
        return "sh"


def test_a_piece_on_which_the_romanizer_fails_is_left_out(base, ids, monkeypatch):
    monkeypatch.setattr(romanized_vocabulary, "DEFAULT", f"{__name__}:Failing")
    found = romanizing(base, ["sh"])["sh"]
    assert ids["ш"] + 1 in found
    assert ids["ש"] + 1 not in found
