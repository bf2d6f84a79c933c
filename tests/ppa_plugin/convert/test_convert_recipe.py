"""The recipe of the model card: flags that fairseq-train parses into the settings that the checkpoint holds."""

import ast
import shlex
from argparse import Namespace

import pytest
from command_lines import parse
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import OmegaConf

from ppa_plugin import flag_ranges  # the package registers the task, whose flags are parsed
from ppa_plugin.convert import card
from ppa_plugin.convert.recipe import recipe_flags


@pytest.fixture(autouse=True)
def values_of_any_size(monkeypatch):
    """Which numbers may train is another test's: whatever stands in a checkpoint is shown as it is."""
    monkeypatch.setattr(flag_ranges, "check_command_line", lambda known: None)


CONFIG = {"model_type": "xlm-roberta", "num_hidden_layers": 12, "hidden_size": 8, "vocab_size": 9}
BASE = ["/data/shard00:/data/shard01", "--task", "translit_alignment", "--criterion", "translit_alignment"]
BASE += ["--optimizer", "adam", "--lr-scheduler", "polynomial_decay", "--arch"]
SECTIONS = ("task", "criterion", "model", "optimizer", "lr_scheduler", "optimization", "dataset", "common", "ema")
SECTIONS += ("distributed_training",)
number = ["0", "1", "0.0", "0.5", "1e-05", "-1e-09", "100"]
natural = ["0", "1", "2", "8", "1000"]
# as many kinds as there are: numbers, lists, choices, text; zeros, defaults, the opposite of defaults; of every section
VALUES = {
    **dict.fromkeys(("--mlm-weight", "--seq-weight", "--tlm-weight", "--seq-temperature", "--mask-prob"), number),
    **dict.fromkeys(("--mask-keep", "--mask-random", "--sampling-alpha", "--dropout", "--activation-dropout"), number),
    **dict.fromkeys(("--weight-decay", "--clip-norm", "--adam-eps", "--end-learning-rate", "--power"), number),
    **dict.fromkeys(("--stop-min-lr", "--stop-time-hours", "--min-loss-scale", "--ema-decay"), number),
    **dict.fromkeys(("--seq-layer", "--seq-negatives", "--max-positions", "--warmup-updates", "--seed"), natural),
    **dict.fromkeys(("--max-update", "--max-epoch", "--batch-size", "--batch-size-valid", "--max-tokens"), natural),
    **dict.fromkeys(("--total-num-update", "--fp16-init-scale", "--num-workers", "--log-interval"), natural),
    **dict.fromkeys(("--encoder-layers", "--encoder-embed-dim", "--distributed-world-size", "--patience"), natural),
    **dict.fromkeys(("--validate-interval-updates", "--force-anneal", "--fixed-validation-seed"), natural),
    "--seq-pooling": ["mean", "cls"],
    "--seq-gather": ["exact", "detached"],
    "--batch-order": ["random", "length"],
    "--attention": ["auto", "runs"],
    "--mlm-sides": ["orig,latn", "latn"],
    "--retrieval-data": ["eval/bible", "with space/it's"],
    "--adam-betas": ["(0.9, 0.98)", "(0.9,0.999)", "(0, 0)"],
    "--lr": ["0", "2e-05", "0.001,0.002"],
    "--update-freq": ["1", "2,4"],
    "--ddp-backend": ["pytorch_ddp", "legacy_ddp"],
    "--zero-sharding": ["none", "os"],
    "--log-format": ["json", "simple"],
    "--distributed-init-method": ["tcp://node7:12345"],
}
SWITCHES = ("--seq-ignore-duplicates", "--fp16", "--memory-efficient-fp16", "--bf16", "--amp", "--cpu", "--store-ema")
SWITCHES += ("--fp16-adam-stats", "--use-old-adam", "--disable-validation", "--sentence-avg", "--fast-stat-sync")
ZEROS = dict.fromkeys(("--tlm-weight", "--weight-decay", "--clip-norm", "--seq-layer"), "0")


def configuration(arguments: list[str]) -> dict:
    """What fairseq-train makes of its arguments and keeps in a checkpoint."""
    parsed = convert_namespace_to_omegaconf(parse(["fairseq-train", *arguments]))
    config = OmegaConf.to_container(parsed, resolve=True, enum_to_str=True)
    # text or a list, by whether they were given; the optimizer takes either
    config["optimizer"]["adam_betas"] = list(ast.literal_eval(str(config["optimizer"]["adam_betas"])))
    return config


def recipe(config: dict) -> list[str]:
    """The recipe of a card, as a shell would pass it on."""
    text = card.model_card(
        "t",
        CONFIG,
        {"cfg": config},
        {},
        ("<s>", "</s>"),
    )
    assert "Flags of `fairseq-train`" in text
    return shlex.split(text.split("```")[-2])


def combination(place: int) -> dict[str, str]:
    """Every flag with one of its values, another one for each place."""
    return {flag: values[place % len(values)] for flag, values in VALUES.items()}


@pytest.mark.parametrize(
    ("arch", "values", "switches"),
    [
        ("xlmr_large", {}, []),
        ("translit_tiny", ZEROS, []),
        # the default of the dataclass, not of the architecture
        ("xlmr_large", {"--encoder-layers": "12"}, ["--fp16"]),
        *(("glot500_base", combination(place), SWITCHES[place::7]) for place in range(7)),
    ],
)
def test_the_recipe_parses_into_the_same_configuration(arch, values, switches):
    trained = configuration([*BASE, arch, *switches, *(f"{flag}={value}" for flag, value in values.items())])
    again = configuration(recipe(trained))
    trained["distributed_training"]["distributed_init_method"] = None  # where it ran
    for section in SECTIONS:
        assert again[section] == trained[section]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--tlm-weight", "0"], "--tlm-weight 0.0"),
        (["--weight-decay", "0"], "--weight-decay 0.0"),
        (["--clip-norm", "0"], "--clip-norm 0.0"),
        (["--seq-layer", "0"], "--seq-layer 0"),
        (["--seq-weight", "0"], "--seq-weight 0.0"),
        (["--mask-random", "0"], "--mask-random 0.0"),
        (["--dropout", "0"], "--dropout 0.0"),
        (["--adam-betas", "(0.9, 0.98)"], "--adam-betas '(0.9, 0.98)'"),
        (["--stop-min-lr=-1e-9"], "--stop-min-lr=-1e-09"),
        (["--fp16"], "--fp16"),
        (["--batch-size", "8", "--batch-size-valid", "4"], "--batch-size-valid 4"),
    ],
)
def test_zeros_and_their_like_are_shown(given, shown):
    assert shown in recipe_flags({"cfg": configuration([*BASE, "translit_tiny", *given])})


def test_defaults_are_left_out():
    config = configuration([*BASE, "translit_tiny", "--batch-size", "8", "--distributed-rank", "0"])
    lines = recipe_flags({"cfg": config})
    assert lines[0] == BASE[0]
    assert not {line.split()[0] for line in lines} & {"--batch-size-valid", "--tpu", "--no-progress-bar", "--power"}
    assert not any(line.startswith(("--distributed-rank", "--device-id", "--total-num-update")) for line in lines)
    assert len(lines) == len({line.split()[0] for line in lines}) < 40


def test_of_what_is_not_known_here_everything_is_shown():
    """Another plugin's criterion, kept as a dict; another fairseq's setting beside known ones."""
    config = configuration([*BASE, "translit_tiny"])
    config["criterion"] = {"_name": "theirs", "their_weight": 0.0, "their_switch": True, "off": False, "none": None}
    config["optimizer"]["new_setting"] = 0
    lines = recipe_flags({"cfg": config})
    expected = {"--criterion theirs", "--their-weight 0.0", "--their-switch", "--new-setting 0"}
    assert expected <= {*lines}
    assert not [line for line in lines if line.startswith(("--off", "--none"))]


def test_components_without_a_dataclass_hold_every_flag():
    flags = parse(["fairseq-train", *BASE, "translit_tiny", "--tlm-weight", "0", "--save-dir", "/home/me/runs"])
    config = configuration([*BASE, "translit_tiny"])
    config["criterion"] = Namespace(**vars(flags), _name="theirs", their_weight=0)
    lines = recipe_flags({"cfg": config})
    assert {"--criterion theirs", "--their-weight 0"} <= {*lines}
    assert not any("/home/me" in line for line in lines)
    # fairseq before 0.10 kept nothing else
    assert {"--tlm-weight 0.0", "--arch translit_tiny", BASE[0]} <= {*recipe_flags({"args": flags})}


@pytest.mark.parametrize("checkpoint", [{}, {"cfg": {}}, {"cfg": {"model": {"encoder_layers": 3}}}, {"args": None}])
def test_without_settings_of_a_training_there_is_no_recipe(checkpoint):
    assert recipe_flags(checkpoint) == []
    assert "does not say how it was trained" in card.model_card("t", CONFIG, checkpoint, {}, ("<s>", "</s>"))
