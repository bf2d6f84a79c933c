"""`--shuffle-pairs`, the control: what the task gives training, and that validation stays as it is."""

import pytest
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from made_up_shards import write_shards
from training import arguments_of

from ppa_plugin.data.masking import STREAMS

PAIRS, OF_A_LANGUAGE = 40, 20


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """The tokens of every pair by (flags, split), nothing masked."""
    directory = tmp_path_factory.mktemp("shuffled")
    data = write_shards(directory / "data", pairs=PAIRS)
    found = {}
    for flags in ((), ("--shuffle-pairs",)):
        arguments = arguments_of(data, directory / "unused", "--mask-prob", 0, *flags)
        parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
        task = tasks.setup_task(convert_namespace_to_omegaconf(parsed).task)
        for split in ("train", "valid"):
            task.load_dataset(split)
            dataset = task.dataset(split)
            found[bool(flags), split] = [
                {stream: dataset[i][stream][0].tolist() for stream in STREAMS} for i in range(len(dataset))
            ]
    return found


def test_every_sentence_is_beside_another_ones_romanization_of_its_language(streams):
    plain, shuffled = streams[False, "train"], streams[True, "train"]
    romanizations = [pair["latn"] for pair in plain]
    assert [pair["orig"] for pair in plain] == [pair["orig"] for pair in shuffled]
    partners = [romanizations.index(pair["latn"]) for pair in shuffled]
    assert sorted(partners) == list(range(PAIRS))
    assert all(i != partner and i // OF_A_LANGUAGE == partner // OF_A_LANGUAGE for i, partner in enumerate(partners))
    for pair in shuffled:
        # <s> a </s> b </s> in either order
        assert sorted(pair["tlm"][1:]) == sorted(pair["orig"][1:] + pair["latn"][1:])


def test_validation_keeps_the_pairs(streams):
    assert streams[False, "valid"] == streams[True, "valid"]
