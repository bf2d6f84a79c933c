"""Every number that a user can give has a range."""

import argparse
import dataclasses
import re

import numpy as np
import pytest
from command_lines import parser_of
from fairseq.dataclass import configs
from fairseq.optim.adam import FairseqAdamConfig
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import PolynomialDecayLRScheduleConfig

from ppa_plugin import flag_ranges
from ppa_plugin.commandline import Range, UserError, natural, positive, shown
from ppa_plugin.criterion import TranslitAlignmentCriterionConfig
from ppa_plugin.model.architectures import CONFIGURATIONS as MODELS
from ppa_plugin.task import TranslitAlignmentConfig

CONFIGURATIONS = (
    configs.CommonConfig,
    configs.DistributedTrainingConfig,
    configs.DatasetConfig,
    configs.OptimizationConfig,
    configs.CheckpointConfig,
    FairseqAdamConfig,
    PolynomialDecayLRScheduleConfig,
    TranslitAlignmentConfig,
    TranslitAlignmentCriterionConfig,
    *MODELS.values(),
)
# of parts of fairseq that no run of this plugin has: TPUs, pipelines
NOT_OURS = {"pipeline_chunks", "tpu_shards"}


def test_every_number_of_a_training_has_a_range_and_its_default_is_in_it():
    checked = 0
    for configuration in CONFIGURATIONS:
        for field in dataclasses.fields(configuration):
            of_another_section = isinstance(field.default, str) and field.default.startswith("${")
            if re.search(r"\bint\b|\bfloat\b", str(field.type)) and not of_another_section:
                assert field.name in flag_ranges.ranges().keys() | NOT_OURS, field.name
                checked += 1
                default = field.default
                if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
                    default = field.default_factory()
                flag_ranges.check({field.name: default}, flag_ranges.as_flag)
    assert checked > 70


@pytest.mark.parametrize("command", ["ppa-preprocess", "ppa-convert", "ppa-evaluate", "ppa-report"])
def test_no_flag_of_ours_reads_a_number_without_a_range(command):
    parsers = [parser_of(command)]
    for parser in parsers:
        for action in parser._actions:
            assert action.type not in (int, float), action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()


@pytest.mark.parametrize(
    ("section", "setting", "says"),
    [
        ("model", {"dropout": 2}, "model.dropout=2 is not a number from 0 to below 1"),
        ("model", {"dropout": "much"}, "model.dropout=much is not a number from 0 to below 1"),
        ("model", {"encoder_layers": True}, "model.encoder_layers=True is not a whole number from 1 to 1000"),
        ("optimization", {"lr": [1e-5, float("nan")]}, "optimization.lr=1e-05,nan: nan is not a number from 0 to 100"),
        ("optimization", {"update_freq": []}, "optimization.update_freq=[] is not one number or several"),
        ("optimizer", {"adam_betas": [0.9]}, "optimizer.adam_betas=0.9 is not numbers such as (0.9, 0.999)"),
        ("optimizer", {"adam_betas": "f(1)"}, "optimizer.adam_betas=f(1) is not a number from 0 to below 1"),
        ("dataset", {"batch_size": 10**5000}, "a number of thousands of digits is not a whole number from 1 to"),
    ],
)
def test_a_configuration_names_its_section(section, setting, says):
    with pytest.raises(UserError, match=re.escape(says)):
        flag_ranges.check_configuration({"common": {"seed": 1}, "job": "x", section: setting})


def test_a_configuration_may_write_numbers_as_text_and_leave_them_open():
    section = {"lr": "[1e-5]", "adam_betas": "(0.9, 0.98)", "max_update": "100", "max_tokens": None}
    flag_ranges.check_configuration({"one": section, "other": {"total_num_update": "${optimization.max_update}"}})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None, 1 + 0j, 10**400, -(10**400)])
def test_what_is_in_no_range(value):
    for allowed in (positive, natural, Range(0), Range(-1, 1), Range(0, 1, above=True, below=True)):
        assert value not in allowed


def test_the_ends_of_a_range():
    assert 0 in Range(0, 1)
    assert 1 in Range(0, 1)
    assert 0 not in Range(0, 1, above=True)
    assert 1 not in Range(0, 1, below=True)
    assert 1.0 not in positive
    assert 0.5 in Range(0)


@pytest.mark.parametrize("text", ["9" * 5000, "-" + "9" * 5000, "1e400", "nan", "", " ", "0x10", "1,2", "\ud800"])
def test_texts_that_are_no_number_in_range(text):
    for allowed in (positive, Range(0, 1)):
        with pytest.raises(argparse.ArgumentTypeError) as raised:
            allowed(text)
        assert len(str(raised.value)) < 120


def test_a_long_value_is_cut_in_a_message():
    assert shown("x" * 100) == "x" * 60 + "..."
    assert shown(10**5000) == "a number of thousands of digits"
    assert shown(0.5) == "0.5"
    assert shown(np.eye(2)) == "array([[1., 0.],        [0., 1.]])"
