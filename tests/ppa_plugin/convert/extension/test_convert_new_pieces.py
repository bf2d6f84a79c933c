"""New sub-words: chosen by what they save, scored so that they are used, and nothing else changes for old text."""

import io

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.extension import new_pieces
from ppa_plugin.convert.extension.new_pieces import Pieces, choose_pieces, find_files, sample_lines, tokens_per_word

COUNT = 60


@pytest.fixture(scope="module")
def base(sentencepiece_path):
    return Pieces(sentencepiece_path)


@pytest.fixture(scope="module")
def scores(base, romanized_sentences):
    return choose_pieces(base, romanized_sentences * 3, COUNT)


@pytest.fixture(scope="module")
def extended_path(base, scores, tmp_path_factory):
    path = tmp_path_factory.mktemp("extended") / "extended.model"
    path.write_bytes(base.extended(scores).SerializeToString())
    return path


@pytest.fixture(scope="module")
def before_and_after(sentencepiece_path, extended_path):
    return [sentencepiece.SentencePieceProcessor(model_file=str(path)) for path in (sentencepiece_path, extended_path)]


def test_pieces_are_appended_and_the_old_ones_stay(before_and_after, scores):
    before, after = before_and_after
    size = before.get_piece_size()
    assert after.get_piece_size() == size + COUNT
    for i in range(size):
        assert (after.id_to_piece(i), after.get_score(i)) == (before.id_to_piece(i), before.get_score(i))
    assert [after.id_to_piece(size + i) for i in range(COUNT)] == list(scores)
    assert not {before.id_to_piece(i) for i in range(size)} & set(scores)


def test_tokens_per_word_fall_and_every_new_piece_can_be_used(
    before_and_after, scores, sentencepiece_path, extended_path, romanized_sentences
):
    assert tokens_per_word(extended_path, romanized_sentences) < 0.75 * tokens_per_word(
        sentencepiece_path, romanized_sentences
    )
    before, after = before_and_after
    for piece in scores:
        alone = piece.removeprefix("▁")
        # a piece may fall into other new ones; it never falls into old ones alone
        assert max(after.encode(alone)) >= before.get_piece_size(), piece


def test_a_new_piece_beats_the_old_ones_that_it_replaces(base, scores):
    for piece, score in scores.items():
        assert score > base.log_probability(base.segment(piece)), piece


def test_no_score_is_below_the_lowest_so_that_unknown_characters_cost_what_they_did(base, scores):
    assert min(scores.values()) >= min(base.scores.values())


TEXT = st.text(st.sampled_from("acdehinopqrtuymg .·бгдоשלאبسلمกรคงམ城里☃"), max_size=30)


@given(text=TEXT)
def test_a_text_changes_only_where_new_pieces_win(before_and_after, text):
    before, after = before_and_after
    old, new = before.encode(text), after.encode(text)
    if max(new, default=0) < before.get_piece_size():
        assert new == old
    if 0 not in old:
        assert after.decode(new) == before.decode(old)
        totals = [sum(after.get_score(i) for i in ids) for ids in (old, new)]
        assert totals[1] >= totals[0] - 1e-4


def test_sentences_in_other_scripts_keep_their_tokens(before_and_after, sentences):
    before, after = before_and_after
    others = [sentence for sentence in sentences if not any(character in "aeiou" for character in sentence)]
    assert len(others) >= 15
    assert after.encode(others) == before.encode(others)


CHARIOTS = ["chariot charioty charioto chariote"] * 20 + ["nene touto nenet toutot ounen"]


def test_the_piece_that_saves_most_is_taken(base):
    assert list(choose_pieces(base, CHARIOTS, 1)) == ["▁chariot"]


def test_shared_pieces_set_the_scale(base):
    """A text whose model gives shared pieces one unit more than `base` has new pieces one unit lower."""
    trained = {piece: score + 1 for piece, score in list(base.scores.items())[:40]} | {"new": -3.0}
    assert new_pieces._offset(base.scores, trained) == pytest.approx(-1)
    assert new_pieces._offset(base.scores, {"new": -3.0}) == 0


def test_text_is_read_as_the_model_reads_it(base):
    assert base.normalize("ﬁne  Ｘ ℌ") == "fine X H"
    wide = [line.translate({ord(letter): ord(letter) + 0xFEE0 for letter in "chariot"}) for line in CHARIOTS]
    assert choose_pieces(base, wide, 1) == choose_pieces(base, CHARIOTS, 1)


def test_choosing_twice_gives_the_same(base, scores, romanized_sentences):
    assert choose_pieces(base, romanized_sentences * 3, COUNT) == scores


def test_more_candidates_are_looked_at_where_most_are_in_the_vocabulary(base, romanized_sentences, monkeypatch):
    monkeypatch.setattr(new_pieces, "_CANDIDATES", (0, 1))
    sizes, train = [], new_pieces._train
    monkeypatch.setattr(new_pieces, "_train", lambda base, text, size: sizes.append(size) or train(base, text, size))
    assert len(choose_pieces(base, romanized_sentences * 3, 130)) == 130
    assert sizes == [0, 130]


def test_too_few_sub_words_are_said(base):
    with pytest.raises(UserError, match=r"--pieces 500: the text has \d+ sub-words that are not in the vocabulary"):
        choose_pieces(base, CHARIOTS, 500)


def test_another_kind_of_model_is_refused(tmp_path, sentences):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=written, vocab_size=320, model_type="bpe", minloglevel=2
    )
    (tmp_path / "bpe.model").write_bytes(written.getvalue())
    with pytest.raises(UserError, match=r"bpe\.model is of the kind bpe; only SentencePiece models as XLM-R's"):
        Pieces(tmp_path / "bpe.model")


def test_files_of_a_folder_are_its_latin_sides_else_its_texts(tmp_path):
    for name in ("b.latn", "a.latn", "a.orig", "a.txt"):
        (tmp_path / name).write_text("x\n")
    assert [path.name for path in find_files([tmp_path, tmp_path / "a.orig"])] == ["a.latn", "b.latn", "a.orig"]
    for name in ("a.latn", "b.latn"):
        (tmp_path / name).unlink()
    assert [path.name for path in find_files([tmp_path])] == ["a.txt"]
    (tmp_path / "a.txt").unlink()
    with pytest.raises(UserError, match=r"holds no \*\.latn and no \*\.txt file"):
        find_files([tmp_path])
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        find_files([tmp_path / "nowhere"])


def test_lines_are_drawn_evenly_and_empty_ones_left_out(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"{i}\n\n \n" for i in range(1000)))
    (tmp_path / "b.txt").write_text("".join(f"{i}\n" for i in range(1000, 2000)))
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert sample_lines(files, 5000) == [str(i) for i in range(2000)]
    drawn = sample_lines(files, 400)
    assert drawn == sample_lines(files, 400)
    assert len(set(drawn)) == 400
    assert sum(int(line) for line in drawn) / 400 == pytest.approx(1000, abs=100)  # 3.5 standard deviations
