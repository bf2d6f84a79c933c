"""Opening binarized files: what is whole, and what is refused with a sentence."""

import shutil

import pytest
import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder, best_fitting_int_dtype
from made_up_shards import write_dictionary, write_shards, write_split

from ppa_plugin.commandline import UserError
from ppa_plugin.data.shards import find_beside, language_directories, load_pair
from ppa_plugin.data.vocabulary import load_dictionary


def test_a_shards_languages_load_in_order(tmp_path):
    write_shards(tmp_path, pairs=20, shards=2)
    dictionary = load_dictionary(tmp_path / "dict.txt")
    directories = language_directories(tmp_path / "shard01", "train")
    assert [directory.name for directory in directories] == ["aaa_Latn", "bbb_Grek"]
    pair = load_pair(directories[0], "train", dictionary)
    assert len(pair["orig"]) == len(pair["latn"]) == 10
    assert pair["orig"][3][-1] == dictionary.eos()


def test_the_dictionary_is_looked_for_in_the_shard_and_above_it(tmp_path):
    shard = tmp_path / "data-bin/shard00"
    shard.mkdir(parents=True)
    assert find_beside(shard, "dict.txt") is None
    for directory in (tmp_path, tmp_path / "data-bin", shard):
        write_dictionary(directory)
        assert find_beside(shard, "dict.txt") == directory / "dict.txt"


def test_a_directory_without_the_split_is_named(tmp_path):
    write_shards(tmp_path, pairs=20, shards=2)
    with pytest.raises(UserError, match=r"no valid.orig-latn.orig.idx in .*shard01.*shard00 alone has `valid`.*subset"):
        language_directories(tmp_path / "shard01", "valid")
    with pytest.raises(UserError, match="nowhere is not a directory"):
        language_directories(tmp_path / "nowhere", "train")


def _truncate(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda d: _truncate(d / "train.orig-latn.orig.idx", 5), "orig.idx is torn or no index"),
        (lambda d: _truncate(d / "train.orig-latn.orig.idx", 80), "orig.idx is torn or no index"),
        (lambda d: _truncate(d / "train.orig-latn.latn.bin", 11), r"latn.bin has 11 bytes and its index says \d+"),
        (lambda d: (d / "train.orig-latn.latn.bin").unlink(), "latn.bin is missing"),
        (lambda d: write_split(d, "train", 9, 1, vocabulary=500), r"holds token \d+ and dict.txt has 60 entries"),
        (
            lambda d: [
                shutil.copy(d / f"valid.orig-latn.orig.{e}", d / f"train.orig-latn.orig.{e}") for e in ("idx", "bin")
            ],
            "has 4 original and 10 romanized sentences",
        ),
    ],
)
def test_broken_shards_are_named(tmp_path, harm, sentence):
    write_shards(tmp_path, pairs=20)
    directory = tmp_path / "shard00/aaa_Latn"
    harm(directory)
    with pytest.raises(UserError, match=sentence):
        load_pair(directory, "train", load_dictionary(tmp_path / "dict.txt"))


def test_a_vocabulary_beyond_16_bits_is_read(tmp_path):
    """XLM-V has 901,629 entries, whose indices fairseq stores in 32 bits."""
    for side in ("orig", "latn"):
        path = tmp_path / f"train.orig-latn.{side}"
        builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=best_fitting_int_dtype(901_629))
        builder.add_item(torch.tensor([901_627, 65_536, 2]))
        builder.finalize(f"{path}.idx")
    pair = load_pair(tmp_path, "train", range(901_629))
    assert pair["orig"][0].tolist() == pair["latn"][0].tolist() == [901_627, 65_536, 2]
    with pytest.raises(UserError, match=r"holds token 901627 and dict.txt has 901627 entries"):
        load_pair(tmp_path, "train", range(901_627))
