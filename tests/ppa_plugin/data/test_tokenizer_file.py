"""A tokenizer.json as the tokenizer of training: its ids, its specials, its dictionary."""

import json
import shutil

import numpy as np
import pytest
from fairseq.data import Dictionary
from tiny_families import train_tokenizer
from tokenizers import Tokenizer

from ppa_plugin.commandline import UserError
from ppa_plugin.data import vocabulary
from ppa_plugin.data.masking import Specials
from ppa_plugin.data.tokenizer_file import TokenizerFile
from ppa_plugin.evaluation.encoder.loading import import_transformers, load_tokenizer

GEMMAS = Specials(bos=2, pad=0, eos=1, unk=3, mask=4)


@pytest.fixture(scope="module")
def trained(sentences, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(sentences, directory)
    return directory / "tokenizer.json"


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained.parent, tmp_path / "copy") / "tokenizer.json"


def change(path, name, **changes):
    """Set keys of a JSON file beside `path`; None takes a key away."""
    content = json.loads((path.parent / name).read_text(encoding="utf-8")) | changes
    content = {key: value for key, value in content.items() if value is not None}
    (path.parent / name).write_text(json.dumps(content), encoding="utf-8")


def test_ids_are_transformers(trained, sentences):
    theirs = import_transformers().AutoTokenizer.from_pretrained(trained.parent)
    lines = [*sentences, "", " two  spaces ", "unseen 𓀀 ™", "tab\tand\u3000wide", "e\u0301"]
    file = TokenizerFile(trained)
    assert [ids.tolist() for ids in file.encode(lines)] == theirs(lines, add_special_tokens=False)["input_ids"]
    framed = [[file.specials.bos, *ids, file.specials.eos] for ids in file.encode(lines)]
    assert framed == theirs(lines)["input_ids"]


def test_specials_are_the_tokenizers_and_those_that_a_text_spells_are_text(trained):
    file = TokenizerFile(trained)
    assert file.specials == GEMMAS
    (ids,) = file.encode(["the <mask> of <eos>"])
    assert not set(ids.tolist()) & {*GEMMAS}


def test_pieces_lie_in_the_text_one_after_the_other(trained, sentences):
    lines = [*sentences, "unseen 𓀀 x"]
    assert ["".join(parts) for parts in TokenizerFile(trained).surfaces(lines)] == lines


def test_the_dictionarys_index_is_the_id(trained, tmp_path):
    assert (
        vocabulary.write_dictionary(trained, tmp_path / "dict.txt")
        == Tokenizer.from_file(str(trained)).get_vocab_size()
    )
    dictionary = vocabulary.load_dictionary(tmp_path / "dict.txt")
    theirs = import_transformers().AutoTokenizer.from_pretrained(trained.parent)
    plain = [i for i, name in enumerate(dictionary.symbols) if not name.startswith("<id:")]
    assert theirs.convert_tokens_to_ids([dictionary[i] for i in plain]) == plain
    assert all(dictionary.index(name) == i for i, name in enumerate(dictionary.symbols))
    found = dictionary.bos(), dictionary.pad(), dictionary.eos(), dictionary.unk()
    assert (*found, dictionary.specials.mask) == tuple(GEMMAS)
    assert vocabulary.layout(tmp_path / "dict.txt") == (len(dictionary), GEMMAS)
    vocabulary.check_dictionary(dictionary, trained)
    # which would put its own specials before the lines
    with pytest.raises(ValueError, match="Incorrect dictionary format"):
        Dictionary.load(str(tmp_path / "dict.txt"))


def test_a_dictionary_of_another_tokenizer_or_other_specials_is_not_taken(trained, copied, tmp_path):
    vocabulary.write_dictionary(trained, tmp_path / "dict.txt")
    dictionary = vocabulary.load_dictionary(tmp_path / "dict.txt")
    change(copied, "tokenizer_config.json", mask_token="<unk>")
    with pytest.raises(UserError, match="has the specials"):
        vocabulary.check_dictionary(dictionary, copied)
    text = (tmp_path / "dict.txt").read_text(encoding="utf-8")
    for old, new, sentence in ((" #ppa:mask", "", "does not mark each"), ("> 1 #ppa:pad", "> x", "line 1")):
        (tmp_path / "dict.txt").write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(UserError, match=sentence):
            vocabulary.load_dictionary(tmp_path / "dict.txt")


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("tokenizer_config.json", {"mask_token": None}, "mask_token is None, which is no token"),
        ("tokenizer_config.json", {"pad_token": "<none>"}, "pad_token is '<none>', which is no token"),
        ("tokenizer.json", {"post_processor": None}, "puts 0 tokens around a text"),
        ("tokenizer.json", {"model": None}, "cannot be read by the tokenizers library"),
    ],
)
def test_a_tokenizer_that_cannot_be_trained_with_is_one_sentence(copied, name, changes, sentence):
    change(copied, name, **changes)
    with pytest.raises(UserError, match=sentence):
        TokenizerFile(copied)


def test_specials_are_found_where_earlier_releases_named_them(copied):
    change(copied, "tokenizer_config.json", mask_token=None, pad_token={"content": "<pad>"})
    (copied.parent / "special_tokens_map.json").write_text('{"mask_token": {"content": "<mask>"}}', encoding="utf-8")
    assert TokenizerFile(copied).specials == GEMMAS


def test_the_files_of_a_tokenizer_are_found_and_copied(copied, sentencepiece_path):
    assert vocabulary.find_tokenizer(copied.parent) == copied
    assert set(vocabulary.tokenizer_files(copied)) == {"tokenizer.json", "tokenizer_config.json"}
    shutil.copy(sentencepiece_path, copied.parent / "sentencepiece.bpe.model")
    assert vocabulary.find_tokenizer(copied.parent).name == "sentencepiece.bpe.model"


def test_evaluation_reads_with_the_same_ids(trained, sentences, tmp_path):
    directory = shutil.copytree(trained.parent, tmp_path / "hf")
    (directory / "config.json").write_text('{"model_type": "modernbert"}', encoding="utf-8")
    theirs = load_tokenizer(directory)(sentences, add_special_tokens=False)["input_ids"]
    ours = vocabulary.TextEncoder(trained).encode(sentences)
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
