"""The dictionary's indices are the Hugging Face tokenizer's ids, on text in more than 15 scripts."""

import shutil

import pytest
import sentencepiece
from fairseq.data import Dictionary
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from ppa_plugin.commandline import UserError
from ppa_plugin.data.vocabulary import (
    check_dictionary,
    dictionary_entries,
    entries,
    is_entry,
    load_dictionary,
    load_sentencepiece,
    write_dictionary,
)
from ppa_plugin.evaluation.encoder.loading import import_transformers


@pytest.fixture
def dictionary(sentencepiece_path, tmp_path):
    write_dictionary(sentencepiece_path, tmp_path / "dict.txt")
    return load_dictionary(tmp_path / "dict.txt")


def test_indices_are_hugging_face_ids(dictionary, sentencepiece_path, sentences, tmp_path):
    transformers = import_transformers()
    directory = tmp_path / "hf"
    directory.mkdir()
    shutil.copy(sentencepiece_path, directory / "sentencepiece.bpe.model")
    transformers.XLMRobertaConfig(vocab_size=len(dictionary)).save_pretrained(directory)
    tokenizer = transformers.XLMRobertaTokenizer.from_pretrained(directory)
    processor = load_sentencepiece(sentencepiece_path)
    for sentence in [*sentences, "unknown: ☃ 𓀀", "digits 0123 - and <mask> </s> <unk> spelled out"]:
        line = " ".join(
            "<unk>" if processor.is_unknown(i) else processor.id_to_piece(i) for i in processor.encode(sentence)
        )
        ours = dictionary.encode_line(line, add_if_not_exist=False, append_eos=False).tolist()
        assert ours == [i + 1 if i else 3 for i in processor.encode(sentence)], sentence
        if "<" not in sentence:  # the tokenizer reads its specials in text; SentencePiece does not
            assert ours == tokenizer(sentence, add_special_tokens=False)["input_ids"], sentence
    assert [dictionary[i] for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.convert_tokens_to_ids("<mask>") == len(dictionary) - 1 == dictionary.index("<mask>")


def test_own_sentencepiece_model_passes_and_another_one_does_not(dictionary, sentencepiece_path):
    check_dictionary(dictionary, sentencepiece_path)
    dictionary.symbols[7], dictionary.symbols[8] = dictionary.symbols[8], dictionary.symbols[7]
    with pytest.raises(UserError, match="entry 7"):
        check_dictionary(dictionary, sentencepiece_path)
    dictionary.symbols.pop()
    with pytest.raises(UserError, match=f"has {len(dictionary)} entries.*makes {len(dictionary) + 1}"):
        check_dictionary(dictionary, sentencepiece_path)


def test_mask_is_added_to_fairseqs_own_dictionaries_and_has_to_be_last(tmp_path):
    (tmp_path / "dict.txt").write_text("▁a 10\n▁b 5\n", encoding="utf-8")
    assert load_dictionary(tmp_path / "dict.txt").symbols[4:] == ["▁a", "▁b", "<mask>"]
    (tmp_path / "dict.txt").write_text("▁a 10\n<mask> 1\n▁b 5\n", encoding="utf-8")
    with pytest.raises(UserError, match="has to be the last"):
        load_dictionary(tmp_path / "dict.txt")


def test_a_dictionary_cannot_hold_a_piece_with_white_space():
    assert is_entry("▁word")
    assert not is_entry("a\u2028b")
    assert not is_entry("a\u0085")
    assert not is_entry("")


def test_what_is_not_a_sentencepiece_model_is_refused(tmp_path):
    (tmp_path / "other.model").write_text("not a model")
    with pytest.raises(UserError, match=r"other\.model is not a readable SentencePiece model"):
        write_dictionary(tmp_path / "other.model", tmp_path / "dict.txt")
    assert not (tmp_path / "dict.txt").exists()


# what fairseq's text format cannot hold: white space in the sense of str.split(), and what spells another entry
UNHELD = (
    "\x85",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x1f",
    "\u2028",
    "\u2029",
    "\xa0",
    "\u3000",
    "\r",
    "▁\xa0x",
    "<mask>",
    "<s>",
    "<pad>",
)


@pytest.fixture(scope="module")
def unheld_path(sentencepiece_path, tmp_path_factory):
    """A model that has every piece of UNHELD, and reads text as it is."""
    model = ModelProto.FromString(sentencepiece_path.read_bytes())
    model.normalizer_spec.name, model.normalizer_spec.precompiled_charsmap = "identity", b""
    model.DiscardUnknownFields()
    for piece in UNHELD:
        model.pieces.add(piece=piece, score=-3.0)
    path = tmp_path_factory.mktemp("unheld") / "sentencepiece.bpe.model"
    path.write_bytes(model.SerializeToString())
    return path


def test_pieces_that_the_text_format_cannot_hold_are_named_by_their_index(unheld_path, tmp_path):
    processor = load_sentencepiece(unheld_path)
    size = write_dictionary(unheld_path, tmp_path / "dict.txt")
    dictionary = load_dictionary(tmp_path / "dict.txt")
    check_dictionary(dictionary, unheld_path)
    assert size == len(dictionary) == processor.get_piece_size() + 2
    for piece in UNHELD:
        # SentencePiece's own <s> is a special, which no text becomes; the piece of that spelling is another
        number = max(i for i in range(processor.get_piece_size()) if processor.id_to_piece(i) == piece)
        assert number in processor.encode(f"a{piece}b"), "a line that really holds it"
        assert dictionary[number + 1] == f"<id:{number + 1}>"
        line = f"▁a {dictionary[number + 1]} ▁b"
        assert dictionary.encode_line(line, add_if_not_exist=False, append_eos=False)[1] == number + 1
    assert dictionary.index("<mask>") == len(dictionary) - 1
    assert len(set(dictionary.symbols)) == len(dictionary)


def test_a_name_that_a_piece_spells_is_not_given_to_another():
    assert entries(["a", "\x85", "<id:5>"]) == ["a", "<<id:5>>", "<id:5>"]
    assert entries(["a", "a", "<unk>"]) == ["a", "<id:5>", "<id:6>"]


def test_the_dictionary_of_fairseqs_own_release_counts_as_the_same(sentencepiece_path, tmp_path):
    model = ModelProto.FromString(sentencepiece_path.read_bytes())
    model.DiscardUnknownFields()
    model.pieces.add(piece="\x85", score=-3.0)
    path = tmp_path / "sentencepiece.bpe.model"
    path.write_bytes(model.SerializeToString())
    raw = [piece.piece for piece in model.pieces][3:]
    (tmp_path / "dict.txt").write_text("".join(f"{piece} 7\n" for piece in raw), encoding="utf-8")  # no <mask>
    assert Dictionary.load(str(tmp_path / "dict.txt")).symbols[-1] == "\x85"
    released = load_dictionary(tmp_path / "dict.txt")
    check_dictionary(released, path)
    write_dictionary(path, tmp_path / "ours.txt")
    assert released.symbols == load_dictionary(tmp_path / "ours.txt").symbols
    assert [released.index(symbol) for symbol in released.symbols] == list(range(len(released)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model_type": "bpe"}, "is of the kind bpe; only SentencePiece models as XLM-R's"),
        ({"model_type": "char"}, "of the kind char"),
        ({"model_type": "word"}, "of the kind word"),
        ({"treat_whitespace_as_suffix": True}, "marks the ends of words"),
        ({"user_defined_symbols": ["<new>"], "vocab_size": 330}, "has user-defined symbols, such as '<new>'"),
        ({"byte_fallback": True, "vocab_size": 700}, "has pieces for single bytes"),
    ],
)
def test_sentencepiece_models_of_other_kinds_are_refused(settings, says, sentences, tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 3),
        model_prefix=str(tmp_path / "other"),
        hard_vocab_limit=False,
        minloglevel=2,
        **{"vocab_size": 320} | settings,
    )
    with pytest.raises(UserError, match=says):
        dictionary_entries(tmp_path / "other.model")


def test_a_repeated_piece_is_named(sentencepiece_path, tmp_path):
    model = ModelProto.FromString(sentencepiece_path.read_bytes())
    model.pieces.add(piece=model.pieces[7].piece, score=-3.0)
    (tmp_path / "repeated.model").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"repeated\.model is not a readable .*already defined"):
        load_sentencepiece(tmp_path / "repeated.model")
