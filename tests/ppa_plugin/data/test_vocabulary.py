"""The dictionary's indices are the Hugging Face tokenizer's ids, on text in more than 15 scripts."""

import shutil

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.data.vocabulary import (
    check_dictionary,
    is_entry,
    load_dictionary,
    load_sentencepiece,
    write_dictionary,
)
from ppa_plugin.hugging_face import import_transformers


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
