"""Each mend of stock fairseq, where no other test would notice its absence."""

import argparse
import io
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch
from fairseq import checkpoint_utils, options
from fairseq.dataclass.configs import FairseqConfig
from omegaconf import OmegaConf

import ppa_plugin
from ppa_plugin import compat
from ppa_plugin.model.names import EMBED_TOKENS, TIED_OUTPUT


def versions(monkeypatch, **installed):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)


def test_another_distribution_of_fairseq_is_named(monkeypatch):
    versions(monkeypatch, **{"fairseq-fixed": "0.12.3.1"})
    ppa_plugin.require_fairseq_fixed()
    versions(monkeypatch, fairseq="0.12.2")
    with pytest.raises(ImportError, match="needs the distribution fairseq-fixed"):
        ppa_plugin.require_fairseq_fixed()
    versions(monkeypatch, **{"fairseq-fixed": "0.12.3.1", "fairseq": "0.12.2"})
    with pytest.raises(ImportError, match=r"fairseq 0\.12\.2 shadows fairseq-fixed"):
        ppa_plugin.require_fairseq_fixed()


def test_namespaces_load_and_nothing_else_is_allowed():
    buffer = io.BytesIO()
    torch.save({"args": argparse.Namespace(lr=1.0)}, buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True)["args"].lr == 1.0
    allowed = {f"{c.__module__}.{c.__qualname__}" for c in torch.serialization.get_safe_globals()}
    beyond_torch = {name for name in allowed if not name.startswith("torch.")}
    assert beyond_torch == {"argparse.Namespace", "fairseq.distributed.utils._TensorPlaceholder"}


def test_a_copy_that_fails_leaves_the_old_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "checkpoint_1_2.pt").write_bytes(b"new")
    (tmp_path / "checkpoint_last.pt").write_bytes(b"old")

    def torn(source, target, length):
        target.write(b"n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compat.shutil, "copyfileobj", torn)
    with pytest.raises(SystemExit):
        checkpoint_utils.PathManager.copy(
            str(tmp_path / "checkpoint_1_2.pt"), str(tmp_path / "checkpoint_last.pt"), overwrite=True
        )
    assert "cannot save" in capsys.readouterr().err
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_tied_embedding_is_saved_once(tmp_path):
    rows = torch.randn(1000, 64)
    state = {"model": {EMBED_TOKENS: rows, TIED_OUTPUT: rows.clone(), "other": torch.ones(3)}, "extra_state": {}}
    checkpoint_utils.torch_persistent_save(state, str(tmp_path / "tied.pt"))
    loaded = torch.load(tmp_path / "tied.pt", weights_only=True)["model"]
    assert (tmp_path / "tied.pt").stat().st_size < 1.5 * rows.nbytes
    assert loaded.keys() == state["model"].keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state["model"].items())
    state["model"][TIED_OUTPUT] = rows + 1
    checkpoint_utils.torch_persistent_save(state, str(tmp_path / "untied.pt"))
    assert torch.equal(torch.load(tmp_path / "untied.pt", weights_only=True)["model"][TIED_OUTPUT], rows + 1)


def test_flags_without_defaults_are_read_as_fairseq_validate_does():
    arguments = ["data", "--path", "model.pt", "--batch-size", "8", *OURS]
    parser = options.get_validation_parser()
    assert options.parse_args_and_arch(parser, input_args=arguments, suppress_defaults=True).tpu is False


OURS = ("--task", "translit_alignment", "--criterion", "translit_alignment")
TRAIN, VALIDATE = options.get_training_parser, options.get_validation_parser


@pytest.mark.parametrize(
    ("parser", "flags", "says"),
    [
        (options.get_generation_parser, ("--path", "m.pt", *OURS[:2]), "writes no text and scores none from left"),
        (lambda: options.get_generation_parser(interactive=True), ("--path", "m.pt", *OURS), "writes no text"),
        (options.get_eval_lm_parser, ("--path", "m.pt", *OURS[:2]), "use fairseq-validate for its losses"),
        (TRAIN, OURS[:2], "--task translit_alignment needs --criterion translit_alignment, not cross_entropy"),
        (TRAIN, (*OURS, "--criterion", "masked_lm", "--arch", "translit_tiny"), "translit_alignment, not masked_lm"),
        (TRAIN, (*OURS, "--arch", "roberta_base"), "mmbert_small, gte_multilingual_base, not roberta"),
        (TRAIN, (*OURS, "--task", "masked_lm"), "--criterion translit_alignment goes with --task translit_alignment"),
        (TRAIN, ("--task", "masked_lm", "--arch", "xlmr_base"), "--arch xlmr_base goes with --task translit_alignmen"),
        (VALIDATE, ("--path", "m.pt", *OURS[:2]), "needs --criterion translit_alignment, not cross_entropy"),
    ],
)
def test_components_that_cannot_work_together_are_one_sentence(parser, flags, says, capsys):
    arch = parser == TRAIN and "--arch" not in flags
    arguments = ["data", *flags, *(("--arch", "translit_tiny") if arch else ())]
    with pytest.raises(SystemExit) as ended:
        options.parse_args_and_arch(parser(), input_args=arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_stock_components_are_left_alone():
    stock = ["data", "--task", "masked_lm", "--criterion", "masked_lm", "--arch", "roberta_base"]
    assert options.parse_args_and_arch(TRAIN(), input_args=stock).arch == "roberta_base"


@pytest.mark.parametrize(
    ("checkpoint", "others", "says"),
    [
        ({}, {"ema": {"store_ema": True}}, "--store-ema: fairseq's moving average"),
        (
            {"finetune_from_model": "m.pt", "reset_optimizer": True},
            {},
            "--reset-optimizer beside --finetune-from-model, which resets all of these by itself",
        ),
        ({"finetune_from_model": "m.pt", "reset_dataloader": True}, {}, "leave --reset-dataloader out"),
        ({"finetune_from_model": "m.pt", "restore_file": "n.pt"}, {}, "name two files to start from"),
        ({"continue_once": "nowhere.pt"}, {}, "--continue-once nowhere.pt does not exist"),
        ({"continue_once": __file__, "finetune_from_model": "m.pt"}, {}, "leave one of them out"),
        (
            {"best_checkpoint_metric": "retrieval_top10"},
            {},
            "--best-checkpoint-metric retrieval_top10 needs --retrieval-data, which measures it",
        ),
    ],
)
def test_starts_that_cannot_work_are_one_sentence(checkpoint, others, says, tmp_path, capsys):
    cfg = OmegaConf.structured(FairseqConfig)
    cfg.task = {"retrieval_data": None}
    cfg = OmegaConf.merge(cfg, others, {"checkpoint": {"save_dir": str(tmp_path), **checkpoint}})
    trainer = SimpleNamespace(cfg=cfg, checkpoint_suffix="")
    with pytest.raises(SystemExit) as ended:
        checkpoint_utils.load_checkpoint(cfg.checkpoint, trainer)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
