"""One gradient, whatever the ranks: 1, 2 and 4 gloo processes, against each other and against float64."""

import re
import sys

import numpy as np
import pytest
import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from made_up_shards import write_shards
from training import arguments_of, largest_difference, load, losses, parameters, train

NO_DROPOUT = ("--dropout", 0, "--attention-dropout", 0)
SGD = ("--optimizer", "sgd", "--lr", 0.1, "--max-update", 1)
SEQ_ALONE = ("--mlm-weight", 0, "--tlm-weight", 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """16 pairs: one micro-batch of one rank, or one of each of 2 or 4 ranks."""
    return write_shards(tmp_path_factory.mktemp("data"), pairs=16)


@pytest.fixture(scope="module")
def one_rank(data, tmp_path_factory):
    """Parameters before and after one SGD update by SEQ on one rank."""
    save_dir = tmp_path_factory.mktemp("one")
    train(data, save_dir / "still", *SGD, *NO_DROPOUT, *SEQ_ALONE, "--batch-size", 16, "--lr", 0)
    train(data, save_dir, *SGD, *NO_DROPOUT, *SEQ_ALONE, "--batch-size", 16)
    return parameters(save_dir / "still"), parameters(save_dir)


@pytest.mark.parametrize("ranks", [2, 4])
def test_seq_update_does_not_depend_on_the_ranks(data, one_rank, tmp_path, ranks):
    before, after = one_rank
    assert largest_difference(before, after) > 1e-3
    train(data, tmp_path, *SGD, *NO_DROPOUT, *SEQ_ALONE, "--batch-size", 16 // ranks, ranks=ranks)
    assert largest_difference(after, parameters(tmp_path)) < 1e-6


def test_detached_gather_gives_the_released_codes_share(data, one_rank, tmp_path):
    before, after = one_rank
    flags = (*SGD, *NO_DROPOUT, *SEQ_ALONE, "--batch-size", 8, "--seq-gather", "detached")
    train(data, tmp_path, *flags, ranks=2)
    detached = parameters(tmp_path)
    half = {name: before[name] + (after[name] - before[name]) / 2 for name in before}
    assert largest_difference(half, detached) < 1e-6


@pytest.mark.slow
def test_groups_of_negatives_do_not_depend_on_the_ranks(data, one_rank, tmp_path):
    flags = (*SGD, *NO_DROPOUT, *SEQ_ALONE, "--seq-negatives", 8)
    printed = train(data, tmp_path / "one", *flags, "--batch-size", 16)
    assert "pairs per contrastive batch: 1 x 16 = 16, in groups of 8" in printed
    assert 0 <= float(re.search(r'"(?:train_)?mfu": "?([0-9.e-]+)', printed)[1]) < 1
    train(data, tmp_path / "two", *flags, "--batch-size", 8, ranks=2)
    assert largest_difference(parameters(tmp_path / "one"), parameters(tmp_path / "two")) < 1e-6
    assert largest_difference(parameters(tmp_path / "one"), one_rank[1]) > 1e-4


@pytest.mark.slow
def test_equal_texts_on_other_ranks_are_no_negatives(tmp_path):
    data = write_shards(tmp_path / "data", pairs=16, vocabulary=6)  # one piece: sides are equal if equally long
    flags = (*SGD, *NO_DROPOUT, *SEQ_ALONE)
    train(data, tmp_path / "all", *flags, "--batch-size", 16)
    flags = (*flags, "--log-format", "json", "--log-interval", 1)
    one = train(data, tmp_path / "one", *flags, "--seq-ignore-duplicates", "--batch-size", 16)
    two = train(data, tmp_path / "two", *flags, "--seq-ignore-duplicates", "--batch-size", 8, ranks=2)
    logged = [re.search(r'"seq_equal": "([^"]+)"', printed)[1] for printed in (one, two)]
    assert logged[0] == logged[1]
    assert float(logged[0]) > 0
    assert largest_difference(parameters(tmp_path / "one"), parameters(tmp_path / "two")) < 1e-6
    assert largest_difference(parameters(tmp_path / "one"), parameters(tmp_path / "all")) > 1e-4


def test_seq_alone_freezes_what_it_gives_no_gradient(data, one_rank, tmp_path):
    flags = (*SGD, *NO_DROPOUT, *SEQ_ALONE, "--batch-size", 16)
    printed = train(data, tmp_path, *flags)
    assert "the blocks above layer 2 and the head are frozen" in printed
    still = [name for name in one_rank[0] if torch.equal(one_rank[0][name], parameters(tmp_path)[name])]
    assert {"encoder.lm_head.dense.weight", "encoder.sentence_encoder.layers.2.fc1.weight"} <= set(still)
    assert "encoder.sentence_encoder.layers.1.fc1.weight" not in still


@pytest.fixture
def setup(tmp_path):
    """`fairseq-train`'s own task and model for a command, in this process, in float64."""

    def build(data, *flags):
        parser = options.get_training_parser()
        arguments = arguments_of(data, tmp_path / "unused", *flags)
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
        np.random.seed(cfg.common.seed)
        utils.set_torch_seed(cfg.common.seed)
        task = tasks.setup_task(cfg.task)
        model = task.build_model(cfg.model)
        task.load_dataset("train", epoch=1)
        return cfg, task, model.double()

    return build


def sequence_loss(model, tokens, chosen, targets, layer):
    """Log-likelihoods of the chosen tokens of one sequence alone, and its pooled vector, in float64."""
    tokens = torch.from_numpy(tokens)
    everything = torch.arange(len(tokens))
    output = model(tokens, everything, np.array([len(tokens)]), head_rows=everything, layers=[layer])
    log_probabilities = torch.log_softmax(output.head @ output.weight.T + output.bias, 1)
    content = tokens > 2
    return [-log_probabilities[p, t] for p, t in zip(chosen, targets, strict=True)], output.layers[layer][content].mean(
        0
    )


def micro_step_loss(model, dataset, ranks_indices):
    """pairs x (sum of means) of one micro-step, summed over ranks: MLM and TLM a rank, SEQ over all of them."""
    total, vectors = 0.0, {"orig": [], "latn": []}
    for indices in ranks_indices:
        for stream in dataset.streams:
            found = []
            for index in indices:
                one, vector = sequence_loss(model, *dataset[index][stream], layer=2)
                found += one
                if stream in vectors:
                    vectors[stream].append(vector)
            if found:
                total = total + len(indices) * torch.stack(found).mean()
    every = torch.stack(vectors["orig"] + vectors["latn"])
    scores = (every @ every.T).fill_diagonal_(float("-inf"))
    partner = torch.arange(len(every)).roll(len(every) // 2)
    seq = -torch.log_softmax(scores, 1)[torch.arange(len(every)), partner].mean()
    return total + len(every) / 2 * seq


def test_updates_of_an_epoch_equal_a_float64_reference(setup, tmp_path):
    data = write_shards(tmp_path / "data", pairs=22)  # 5 batches of up to 5 become 6: three micro-steps of two ranks
    flags = (*SGD, *NO_DROPOUT, "--batch-size", 5, "--update-freq", 2, "--max-update", 2, "--lr-scheduler", "fixed")
    flags = (*flags, "--mask-prob", 0.4)
    cfg, task, model = setup(data, *flags)
    dataset = task.dataset("train")
    iterators = [
        task.get_batch_iterator(dataset, max_sentences=5, seed=cfg.common.seed, num_shards=2, shard_id=rank, epoch=1)
        for rank in range(2)
    ]
    batches = [iterator.next_epoch_itr(shuffle=True) for iterator in iterators]
    ids = [[batch["id"].tolist() for batch in of_rank] for of_rank in batches]
    assert [len(of_rank) for of_rank in ids] == [3, 3]
    dataset.set_epoch(1)
    for steps in ([0, 1], [2]):
        loss = sum(micro_step_loss(model, dataset, [of_rank[step] for of_rank in ids]) for step in steps)
        pairs = sum(len(of_rank[step]) for of_rank in ids for step in steps)
        gradients = torch.autograd.grad(loss / pairs, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    train(data, tmp_path / "run", *flags, ranks=2)
    assert load(tmp_path / "run/checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == 2
    assert largest_difference(model.state_dict(), parameters(tmp_path / "run")) < 1e-5


def test_ragged_batches_of_two_ranks_do_not_hang(data, tmp_path):
    printed = train(data, tmp_path, "--max-tokens", 90, "--batch-size", 5, "--max-update", 6, ranks=2)
    assert all(np.isfinite(list(losses(printed).values())))


@pytest.mark.slow
def test_fewer_pairs_than_ranks_is_said(tmp_path):
    data = write_shards(tmp_path / "data", pairs=2)
    printed = train(data, tmp_path / "run", ranks=4, code=2)
    assert "error: 2 pairs cannot be shared among 4 ranks" in printed


def test_out_of_memory_on_one_rank_ends_both(data, tmp_path):
    script = tmp_path / "starved.py"
    script.write_text(
        "import sys\n"
        "from ppa_plugin.model.architectures import TranslitXLMR\n"
        "forward, calls = TranslitXLMR.forward, []\n"
        "def starved(self, *args, **kwargs):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 3 and sys.argv[-1] == '1':\n"
        "        raise RuntimeError('CUDA out of memory. Tried to allocate 1.00 GiB')\n"
        "    return forward(self, *args, **kwargs)\n"
        "TranslitXLMR.forward = starved\n"
        "from fairseq_cli.train import cli_main\n"
        "cli_main()\n"
    )
    flags = ("--batch-size", 4, "--max-update", 50)
    printed = train(data, tmp_path / "run", *flags, ranks=2, code=None, start=[sys.executable, str(script)])
    assert "error: rank 1 of 2 failed in a training step: out of memory; use a smaller --batch-size" in printed
    assert 'num_updates": "50"' not in printed


def test_one_rank_out_of_memory_does_not_train_on(data, tmp_path):
    script = tmp_path / "starved.py"
    script.write_text(
        "from ppa_plugin.model.architectures import TranslitXLMR\n"
        "def starved(self, *args, **kwargs):\n"
        "    raise RuntimeError('CUDA out of memory')\n"
        "TranslitXLMR.forward = starved\n"
        "from fairseq_cli.train import cli_main\n"
        "cli_main()\n"
    )
    printed = train(data, tmp_path / "run", code=1, start=[sys.executable, str(script)])
    assert "error: rank 0 of 1 failed in a training step: out of memory" in printed


def test_resume_and_zero_sharding_on_two_ranks(data, tmp_path):
    flags = ("--batch-size", 4, "--max-update", 4, "--save-interval-updates", 3)
    train(data, tmp_path / "plain", *flags, ranks=2)
    plain = parameters(tmp_path / "plain")

    (tmp_path / "resumed").mkdir()
    (halfway,) = (tmp_path / "plain").glob("checkpoint_2_3.pt")
    halfway.rename(tmp_path / "resumed/checkpoint_last.pt")
    assert "@ 3 updates" in train(data, tmp_path / "resumed", *flags, ranks=2)
    assert largest_difference(plain, parameters(tmp_path / "resumed")) == 0

    train(data, tmp_path / "sharded", *flags, "--zero-sharding", "os", ranks=2)
    assert largest_difference(plain, parameters(tmp_path / "sharded")) < 1e-6
    printed = train(data, tmp_path / "sharded", "--batch-size", 4, "--max-update", 6)
    assert "@ 4 updates" in printed
    assert "pairs per contrastive batch: 8 in the checkpoint, 4 now" in printed
    assert max(losses(printed)) == 6


def test_fully_sharded_is_refused(data, tmp_path):
    printed = train(data, tmp_path, "--ddp-backend", "fully_sharded", code=2)
    assert "error: --ddp-backend fully_sharded has not been shown to work" in printed
