"""Opening binarized files: what is whole, and what is refused with a sentence."""

import shutil
import struct

import numpy as np
import pytest
import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder, best_fitting_int_dtype
from made_up_shards import write_dictionary, write_shards, write_split

from ppa_plugin.commandline import UserError
from ppa_plugin.data import shards
from ppa_plugin.data.shards import find_beside, language_directories, load_blocks, load_pair
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


def test_of_several_names_the_nearest_file_is_found(tmp_path):
    """A SentencePiece model above the shards of a tokenizer.json is another model's."""
    shard = tmp_path / "data-bin/shard00"
    shard.mkdir(parents=True)
    names = ("sentencepiece.bpe.model", "tokenizer.json")
    for path in (tmp_path / names[0], shard.parent / names[1], shard.parent / names[0]):
        path.touch()
        assert find_beside(shard, *names) == path


def test_a_directory_without_the_split_is_named(tmp_path):
    write_shards(tmp_path, pairs=20, shards=2)
    with pytest.raises(UserError, match=r"no valid.orig-latn.orig.idx in .*shard01.*shard00 alone has `valid`.*subset"):
        language_directories(tmp_path / "shard01", "valid")
    with pytest.raises(UserError, match=r"it holds the shards; pass these, joined by colons \(.*shard00:\.\.\.\)"):
        language_directories(tmp_path, "valid")
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


HEADER = struct.Struct("<9sQBQ")


def _rewritten(side, change):
    """Change the header's fields, sizes and pointers of an index, its length staying what it was."""

    def harm(directory):
        path = directory / f"train.orig-latn.{side}.idx"
        content = path.read_bytes()
        magic, version, code, rows = HEADER.unpack_from(content)
        sizes = np.frombuffer(content, np.int32, rows, HEADER.size).copy()
        pointers = np.frombuffer(content, np.int64, rows, HEADER.size + sizes.nbytes).copy()
        code = change(sizes, pointers) or code
        path.write_bytes(HEADER.pack(magic, version, code, rows) + sizes.tobytes() + pointers.tobytes())

    return harm


def _assign(array, index, value):
    array[index] = value


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda sizes, pointers: _assign(pointers, slice(None), pointers[::-1].copy()), "pointers are not where"),
        (lambda sizes, pointers: _assign(pointers, 3, pointers[4]), "pointers are not where its sizes put the rows"),
        (lambda sizes, pointers: _assign(pointers, -1, 1 << 60), "pointers are not where its sizes put the rows"),
        (lambda sizes, pointers: _assign(pointers, 0, -2), "pointers are not where its sizes put the rows"),
        (lambda sizes, pointers: _assign(sizes, slice(2), (sizes[0] + 1, sizes[1] - 1)), "pointers are not where"),
        (lambda sizes, pointers: _assign(sizes, 2, -5), "row 2 has -5 tokens"),
        (lambda sizes, pointers: _assign(sizes, 0, 0), "row 0 has 0 tokens"),
        (lambda sizes, pointers: 77, "says that tokens are of type 77, which is none of whole numbers"),
        (lambda sizes, pointers: 6, "says that tokens are of type 6"),  # float32
        (lambda sizes, pointers: 4, "pointers are not where"),  # int32 in place of uint16
    ],
)
def test_an_index_that_contradicts_itself_is_named(tmp_path, change, sentence):
    """fairseq goes by the pointers alone: it would train on other rows than were written."""
    write_shards(tmp_path, pairs=20)
    directory = tmp_path / "shard00/aaa_Latn"
    _rewritten("latn", change)(directory)
    with pytest.raises(UserError, match=rf"train.orig-latn.latn.idx.*{sentence}"):
        load_pair(directory, "train", load_dictionary(tmp_path / "dict.txt"))


def test_pointers_are_checked_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_ROWS_A_CHUNK", 3)
    write_shards(tmp_path, pairs=20)
    directory = tmp_path / "shard00/aaa_Latn"
    dictionary = load_dictionary(tmp_path / "dict.txt")
    assert len(load_pair(directory, "train", dictionary)["orig"]) == 10
    for row in range(10):
        _rewritten("orig", lambda sizes, pointers, row=row: _assign(pointers, row, pointers[row] + 2))(directory)
        with pytest.raises(UserError, match="pointers are not where"):
            load_pair(directory, "train", dictionary)
        _rewritten("orig", lambda sizes, pointers, row=row: _assign(pointers, row, pointers[row] - 2))(directory)


def test_negative_tokens_and_empty_splits_are_named(tmp_path):
    write_shards(tmp_path, pairs=20)
    dictionary = load_dictionary(tmp_path / "dict.txt")
    for rows, sentence in (([[-5, 2]], "holds token -5, which no dictionary has"), ([], "has no sentences")):
        for side in ("orig", "latn"):
            path = tmp_path / f"train.orig-latn.{side}"
            builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=np.int32)
            for row in rows:
                builder.add_item(torch.tensor(row))
            builder.finalize(f"{path}.idx")
        with pytest.raises(UserError, match=sentence):
            load_pair(tmp_path, "train", dictionary)


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


@pytest.fixture
def aligned(tmp_path):
    """A directory of 10 pairs with token blocks, and its pairs."""
    write_shards(tmp_path, pairs=20, blocks=True)
    directory = tmp_path / "shard00/aaa_Latn"
    return directory, load_pair(directory, "train", load_dictionary(tmp_path / "dict.txt"))


def write_rows(directory, rows, kind=np.uint8):
    path = directory / "train.orig-latn.align"
    builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=kind)
    for row in rows:
        builder.add_item(torch.tensor(row))
    builder.finalize(f"{path}.idx")


def test_blocks_load_beside_their_pairs(aligned):
    directory, pair = aligned
    blocks, with_blocks = load_blocks(directory, "train", pair)
    assert len(blocks) == 10
    assert with_blocks == sum(len(blocks[i]) > 1 for i in range(10)) > 3
    row = next(i for i in range(10) if len(blocks[i]) > 1)
    assert blocks[row][::2].sum() == len(pair["orig"][row]) - 1


@pytest.mark.parametrize(
    ("rows", "kind", "chunk"),
    [
        ([[0]] * 9, np.uint8, 1 << 20),
        ([[0]] * 10, np.uint16, 1 << 20),
        ([[0]] * 9 + [[200, 1]], np.uint8, 1 << 20),
        ([[0]] * 9 + [[1, 200]], np.uint8, 4),
        ([[0]] * 9 + [[1, 1, 0, 1]], np.uint8, 3),
        ([[0]] * 4 + [[1, 1, 1]] + [[0]] * 5, np.uint8, 3),
        ([[0]] * 9 + [[1]], np.uint8, 3),
    ],
)
def test_blocks_of_other_pairs_are_named(aligned, monkeypatch, rows, kind, chunk):
    """Of fewer of them, of another type, of more tokens than a side has, of none, or one and a half."""
    directory, pair = aligned
    monkeypatch.setattr(shards, "_ROWS_A_CHUNK", chunk)
    load_blocks(directory, "train", pair)
    write_rows(directory, rows, kind)
    with pytest.raises(UserError, match=r"train.orig-latn.align.bin does not hold the token blocks of its pairs; run"):
        load_blocks(directory, "train", pair)


def test_missing_or_torn_blocks_are_named(aligned):
    directory, pair = aligned
    _truncate(directory / "train.orig-latn.align.bin", 3)
    with pytest.raises(UserError, match=r"align.bin has 3 bytes and its index says"):
        load_blocks(directory, "train", pair)
    (directory / "train.orig-latn.align.idx").unlink()
    with pytest.raises(UserError, match=r"align.idx is missing: --tok-weight trains on token blocks; say `align"):
        load_blocks(directory, "train", pair)
