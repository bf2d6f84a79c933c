"""`verify --plan`: the formulas against real models, measured tensors, the training's own counts; and the command."""

import re

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.data.indexed_dataset import MMapIndexedDataset
from made_up_text import sentences, write_corpus, write_group
from running import kept_for_backward

from ppa_plugin.data.batch import collate
from ppa_plugin.data.blocks import read_row
from ppa_plugin.data.masking import STREAMS, Masking, stream_lengths
from ppa_plugin.data.paired_dataset import PairedDataset
from ppa_plugin.data.shards import index_sizes
from ppa_plugin.data.vocabulary import load_dictionary
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.objectives import masked_lm_loss
from ppa_plugin.objectives.token_alignment import block_info_nce, block_vectors
from ppa_plugin.training import plan

TINY = plan.architecture_sizes("translit_tiny", vocabulary=2000, max_positions=512)
GLOT500 = plan.architecture_sizes("glot500_base", vocabulary=401_145, max_positions=512)
LOAD = plan.Load(tokens=184, masked=0.15 * (184 - 7))  # the three streams have seven specials
CUSTOM = plan.Sizes(layers=3, embed_dim=48, ffn_dim=80, heads=6, vocabulary=321, max_positions=77)


class Rows(list):
    """Binarized rows as `PairedDataset` takes them."""

    @property
    def sizes(self) -> np.ndarray:
        return np.array([len(row) for row in self])


def build(sizes: plan.Sizes) -> TranslitXLMR:
    config = TranslitXLMRConfig(
        encoder_layers=sizes.layers,
        encoder_embed_dim=sizes.embed_dim,
        encoder_ffn_embed_dim=sizes.ffn_dim,
        encoder_attention_heads=sizes.heads,
        attention_dropout=0.0,
        max_positions=sizes.max_positions,
    )
    return TranslitXLMR(config, sizes.vocabulary)


def pairs_of(lengths: list[tuple[int, int]], sizes: plan.Sizes) -> PairedDataset:
    draw = np.random.default_rng(1)
    sides = (
        Rows(torch.from_numpy(np.append(draw.integers(4, sizes.vocabulary - 1, pair[side]), 2)) for pair in lengths)
        for side in (0, 1)
    )
    return PairedDataset(*sides, Masking(sizes.vocabulary), max_positions=sizes.max_positions)


@pytest.mark.parametrize("sizes", [TINY, CUSTOM, GLOT500])
def test_the_parameter_count_is_that_of_the_model(sizes):
    with torch.device("meta"):  # shapes without memory
        model = build(sizes)
    assert plan.parameter_count(sizes) == sum(parameter.numel() for parameter in model.parameters())


def test_sizes_come_from_the_registered_architectures():
    assert GLOT500[:4] == (12, 768, 3072, 12)
    assert plan.architecture_sizes("xlmr_large", 250_002, 512)[:4] == (24, 1024, 4096, 16)


def test_tokens_of_the_streams_are_those_of_the_dataset():
    pairs = pairs_of([(3, 5), (0, 1), (75, 75), (76, 2), (90, 200), (37, 37), (38, 37)], CUSTOM)
    lengths = stream_lengths(pairs.orig.sizes, pairs.latn.sizes, CUSTOM.max_positions)
    every, maskable = plan.pair_tokens(lengths, plan.read_objective("", CUSTOM.layers))
    batch = collate([pairs[i] for i in range(len(pairs))], STREAMS)
    assert every == int(pairs.sizes.sum()) == batch["ntokens"]
    tokens = batch["net_input"]["tokens"]
    assert maskable == int(((tokens > 2) | (tokens == CUSTOM.vocabulary - 1)).sum())


@pytest.mark.parametrize(
    ("flags", "streams", "masked", "blocks"),
    [
        ("", STREAMS, STREAMS, 12),
        ("--tlm-weight 0", ("orig", "latn"), ("orig", "latn"), 12),
        ("--tlm-weight 0 --seq-weight 0 --mlm-sides latn", ("latn",), ("latn",), 12),
        ("--mlm-weight 0 --tlm-weight 0 --seq-layer 5", ("orig", "latn"), (), 5),
        ("--mlm-weight 0 --mask-prob 0.3 --max-positions 64", STREAMS, ("tlm",), 12),
    ],
)
def test_the_objective_is_that_of_the_flags(flags, streams, masked, blocks):
    objective = plan.read_objective(flags, depth=12)
    assert objective[:3] == (streams, masked, blocks)
    assert objective[3:] == ((0.3, 64, 0) if "--mask-prob" in flags else (0.15, 512, 0))
    assert plan.read_objective("--tok-weight 0.1 --tok-negatives 4", depth=12).block_group == 4


@pytest.mark.parametrize("lengths", [[(20, 20)] * 8, [(5, 9), (8, 30), (31, 12), (17, 19), (25, 39), (9, 9), (12, 35)]])
def test_activations_are_estimated_within_a_quarter_of_what_the_forward_keeps(lengths):
    """What autograd saves, counted by storage; without attention dropout, so that a CPU keeps no attention weights."""
    pairs, model = pairs_of(lengths, TINY), build(TINY)
    batch = collate([pairs[i] for i in range(len(pairs))], STREAMS)
    masked = [batch["masked"][stream] for stream in STREAMS]
    with kept_for_backward(model) as kept:
        output = model(**batch["net_input"], head_rows=torch.cat([m["rows"] for m in masked]), layers=[3])
        loss = masked_lm_loss(output.head, torch.cat([m["targets"] for m in masked]), output.weight, output.bias)
    total = sum(len(m["rows"]) for m in masked)
    logits = sum(tensor.untyped_storage().nbytes() for tensor in loss.grad_fn.next_functions[0][0].kept)
    assert logits == plan.kept_logits_bytes(TINY, total, value_bytes=4)
    estimated = plan.activation_bytes(TINY, batch["ntokens"], total, value_bytes=4)
    assert estimated == pytest.approx(sum(kept.values()), rel=0.25)


def test_what_token_blocks_keep_is_what_is_estimated():
    """Six pairs of 20 blocks in groups of 3, every block of two tokens on either side."""
    pairs, blocks, group = 6, 20, 3
    places = 2 * pairs * blocks
    hidden = torch.nn.Parameter(torch.randn(2 * places, TINY.embed_dim))  # a layer's, counted with it
    rows, shape = torch.arange(2 * places), (pairs // group, group * blocks)
    texts = torch.arange(places).view(*shape, 2)
    with kept_for_backward(torch.nn.ParameterList([hidden])) as kept:
        vectors = block_vectors(hidden, rows, rows // 2, shape)
        block_info_nce(*vectors, torch.ones(shape, dtype=torch.bool), texts)[0].sum()
    estimated = plan.token_block_bytes(TINY, pairs, plan.TokenBlocks(blocks, 4 * blocks, group))
    assert estimated == pytest.approx(sum(kept.values()), rel=0.1)


def test_memory_of_the_training_state():
    count = plan.parameter_count(GLOT500)
    state = {precision: sum(plan.memory(GLOT500, precision, 16, LOAD)[:3]) / count for precision in plan.PRECISIONS}
    assert state == {"fp32": 16, "fp16": 20, "memory-efficient-fp16": 12}
    four = plan.memory(GLOT500, "fp16", 16, LOAD, ranks=4)
    assert four.buckets == 2 * count
    assert four.peak == sum(four[:4]) + max(sum(four[4:8]), four.step)


def test_the_largest_batch_size_fits_and_one_more_does_not():
    for card in (24 * 10**9, 80 * 10**9):
        for precision in plan.PRECISIONS:
            pairs = plan.largest_batch_size(GLOT500, precision, card, LOAD)
            peaks = [plan.memory(GLOT500, precision, n, LOAD, card_bytes=card).peak for n in (pairs, pairs + 1)]
            assert peaks[0] <= card - plan.CUDA_CONTEXT < peaks[1]
    assert plan.largest_batch_size(GLOT500, "fp32", 6 * 10**9, LOAD) == 0


def test_a_checkpoint_has_the_size_that_is_planned(tmp_path):
    model = build(TINY)
    adam = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    # tensor by tensor, as fairseq copies them from a GPU
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = tmp_path / "checkpoint.pt"
    checkpoint_utils.torch_persistent_save({"model": state, "last_optimizer_state": adam.state_dict()}, str(path))
    assert path.stat().st_size == pytest.approx(plan.checkpoint_bytes(TINY), rel=0.01)


def test_updates_and_micro_batches():
    assert plan.max_update(pairs=1000, passes=2, batch=512) == 4
    assert plan.max_update(pairs=1024, passes=1, batch=512) == 2
    assert [plan.micro_batch(512, 256, ranks) for ranks in (1, 3, 4, 64)] == [256, 0, 128, 8]
    assert [plan.micro_batch(96, most, 1) for most in (256, 50, 5)] == [96, 48, 4]
    # 63 micro-batches; on 4 ranks 64, in 16 rounds of which 8 make an update
    assert plan.micro_batches(1000, 16) == 63
    assert plan.micro_batches(1000, 16, ranks=4) == 64
    assert [plan.updates(1000, 16, freq, ranks) for freq, ranks in ((32, 1), (8, 4))] == [2, 2]
    assert plan.checkpoint_count(62_000, epochs=16, save_interval_updates=2000) == 31 + 16 + 2


@pytest.fixture
def made(tmp_path, spm, ppa):
    lines = {"tur_Latn": sentences("tur_Latn", 90), "ell_Grek": sentences("ell_Grek", 70)}
    group = write_group(tmp_path / "g.yaml", lines)
    corpus = write_corpus(tmp_path / "in", lines)
    assert ppa("all", "--config", group, "--input", corpus, "--spm", spm, "--output", tmp_path / "out") == 0
    return tmp_path / "out"


def test_the_command_prints_counts_flags_disk_and_memory(made, ppa):
    assert ppa("verify", "--output", made, "--plan", "--batch", "32", "--pairs", "8", "--arch", "translit_tiny") == 0
    shards = [made / "data-bin/shard00", made / "data-bin/shard01"]
    counts = [sum(len(index_sizes(p.with_suffix(""))) for p in s.glob("*/train*orig.idx")) for s in shards]
    table = [line.split() for line in ppa.out.splitlines() if line.startswith("shard0")]
    assert [row[1] for row in table] == [str(count) for count in counts]
    assert sum(counts) == 140
    assert "2 passes x 140 pairs / 32 pairs an update = 9 updates; one shard an epoch: 4 epochs" in ppa.out
    flags = f"{shards[0]}:{shards[1]} --arch translit_tiny --batch-size 8 --seq-negatives 64 --mlm-group 16"
    for update_freq in (4, 1):
        assert f"{flags} --update-freq {update_freq} --max-update 9 --save-interval-updates 2000\n" in ppa.out
    entries = len(load_dictionary(made / "data-bin/dict.txt"))
    parameters = plan.parameter_count(plan.architecture_sizes("translit_tiny", entries, 512))
    assert f"{parameters:,} parameters" in ppa.out
    assert "checkpoint" in ppa.out
    assert [f"GPUs of {card} GB" in ppa.out for card in (24, 40, 80, 141)] == [True] * 4


def test_the_flags_of_each_card_fill_it_and_make_the_papers_update(made, ppa):
    assert ppa("verify", "--output", made, "--plan", "--arch", "glot500_base") == 0
    flags = r" +--batch-size (\d+) --update-freq (\d+)"
    found = re.findall(rf"^(\d+) GB{flags}{flags}$", ppa.out, re.M)
    assert [card for card, *_ in found] == ["24", "40", "80", "141"]
    for _, *flags in found:
        one, one_freq, four, four_freq = map(int, flags)
        assert one * one_freq == 4 * four * four_freq == 512
        assert 16 <= four <= one <= 256
    assert ppa("verify", "--output", made, "--plan", "--batch", "510") == 0
    assert "# 4 GPUs: --batch 510 is not a multiple of 4\n" in ppa.out


def test_other_flags_are_counted_with_and_passed_on(made, ppa):
    trained = {}
    for flags in ("", "--tlm-weight 0"):
        assert ppa("verify", "--output", made, "--plan", "--arch", "translit_tiny", "--flags", flags) == 0
        trained[flags] = [line.split()[4] for line in ppa.out.splitlines() if line.startswith("all ")][-1]
        assert f"--save-interval-updates 2000 {flags}".rstrip() + "\n" in ppa.out
    without = int(trained["--tlm-weight 0"].replace(",", ""))
    assert without < int(trained[""].replace(",", "")) <= 2 * without
    assert "tokens, 2 streams" in ppa.out


def test_token_blocks_are_counted_in_shards_that_have_them(tmp_path, spm, ppa, made):
    """Of the paper's objective they change nothing; with --tok-weight they take memory, and have to be there."""
    lines = {"ell_Grek": sentences("ell_Grek", 70)}
    group = write_group(tmp_path / "aligned.yaml", lines, alignment="true")
    where, out = ("--config", group, "--input", write_corpus(tmp_path / "text", lines)), tmp_path / "aligned"
    assert ppa("all", *where, "--spm", spm, "--output", out) == 0
    planned = ("--plan", "--arch", "translit_tiny")
    assert ppa("verify", "--output", out, *planned) == 0
    assert "token blocks, " not in ppa.out
    assert ppa("verify", "--output", out, *planned, "--flags", "--tok-weight 0.1") == 0
    rows = [row for shard in sorted((out / "data-bin").glob("shard*")) for row in _block_rows(shard)]
    assert f"token blocks, {sum(rows) / len(rows):.1f} a pair" in ppa.out
    assert ppa("verify", "--output", made, *planned, "--flags", "--tok-weight 0.1") == 2
    assert "train.orig-latn.align.idx is missing: --tok-weight trains on token blocks" in ppa.err


def _block_rows(shard):
    path = shard / "ell_Grek" / "train.orig-latn.align"
    rows = MMapIndexedDataset(str(path))
    return [len(read_row(rows[i].numpy())) for i in range(len(rows))]


def test_without_the_flag_nothing_is_planned(made, ppa):
    assert ppa("verify", "--output", made) == 0
    assert "max-update" not in ppa.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--plan", "--arch", "bert"), "--arch bert is none of glot500_base"),
        (("--plan", "--passes", "0"), "0 is not a positive whole number"),
        (("--plan", "--pairs", "many"), "many is not a positive whole number"),
        (("--batch", "64"), "add --plan"),
        (("--plan", "--flags", "--tlm-wait 0"), "--tlm-wait is no flag of the task or criterion"),
        (("--plan", "--flags", "--tlm-weight much"), "--flags --tlm-weight much: argument --tlm-weight: invalid float"),
        (("--plan", "--flags", "--tlm-weight -1"), "--tlm-weight -1"),
        (("--plan", "--flags", "--mlm-weight 0 --seq-weight 0 --tlm-weight 0"), "nothing to train"),
    ],
)
def test_bad_flags_end_in_one_sentence(tmp_path, ppa, flags, said):
    assert ppa("verify", "--output", tmp_path, *flags) == 2
    assert said in ppa.err
    assert "Traceback" not in ppa.err
