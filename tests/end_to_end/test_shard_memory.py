"""The memory of a shard is given back when the next one is loaded."""

import os

import numpy as np
from fairseq import options, tasks
from fairseq.data.indexed_dataset import MMapIndexedDataset
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from made_up_shards import VOCABULARY, write_dictionary
from training import arguments_of

SHARDS = 21
PAIRS = 60_000


def write_large_side(path: str, generator: np.random.Generator) -> None:
    """60,000 rows of 20 tokens, written at once."""
    rows = generator.integers(4, VOCABULARY - 1, (PAIRS, 20), dtype=np.uint16)
    rows[:, -1] = 2
    rows.tofile(f"{path}.bin")
    with MMapIndexedDataset.Index.writer(f"{path}.idx", np.uint16) as index:
        index.write([20] * PAIRS)


def resident_bytes() -> int:
    """Anonymous memory of this process: what the files mapped by a shard take is the kernel's to drop."""
    with open("/proc/self/status") as handle:
        (line,) = [line for line in handle if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


def test_twenty_shard_changes_take_no_more_memory_than_one(tmp_path):
    write_dictionary(tmp_path)
    generator = np.random.default_rng(0)
    for shard in range(SHARDS):
        directory = tmp_path / f"shard{shard:02d}/aaa_Latn"
        directory.mkdir(parents=True)
        for side in ("orig", "latn"):
            write_large_side(str(directory / f"train.orig-latn.{side}"), generator)
    data = ":".join(str(tmp_path / f"shard{shard:02d}") for shard in range(SHARDS))
    arguments = arguments_of(data, tmp_path / "run")
    task = tasks.setup_task(
        convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), arguments)).task
    )
    after = []
    for epoch in range(1, SHARDS + 1):
        task.load_dataset("train", epoch=epoch)
        iterator = task.get_batch_iterator(
            task.dataset("train"), max_sentences=64, epoch=epoch, disable_iterator_cache=True
        )
        assert iterator.first_batch["nsentences"] == 64
        after.append(resident_bytes())
    descriptors = os.listdir("/proc/self/fd")
    # one shard's index, sizes and batches take more than 2 MB; twenty kept ones would be 40 MB and more
    assert after[-1] - after[1] < 10e6
    assert len(descriptors) < 100
