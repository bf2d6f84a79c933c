"""Training's flags where they have no meaning, and numbers that no parser sees: fairseq-validate, Hydra."""

import os
import shutil
import subprocess

import pytest
from made_up_shards import write_shards
from training import BIN, ROOT, train

OURS = ("--user-dir", str(ROOT / "ppa_plugin"), "--task", "translit_alignment", "--criterion", "translit_alignment")
_TRAIN = "from fairseq_cli.train import cli_main; cli_main()"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Shards and what one update made of a base that is gone since, by paths that are relative to the directory."""
    directory = tmp_path_factory.mktemp("run")
    write_shards(directory / "data", pairs=20, shards=2)
    train(directory / "data/shard00", directory / "base", "--max-update", 1)
    arguments = ("--finetune-from-model", "base/checkpoint_last.pt", "--max-update", 1)
    start = [str(BIN / "python"), "-c", f"import os; os.chdir({str(directory)!r}); {_TRAIN}"]
    train("data/shard00:data/shard01", "checkpoints", *arguments, start=start)
    shutil.rmtree(directory / "base")
    return directory


def called(command, *arguments, cwd) -> tuple[int, str]:
    done = subprocess.run(
        [str(BIN / command), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("shard", "flags"), [("shard00", ()), ("shard01", ("--valid-subset", "train"))])
def test_validation_asks_for_nothing_of_training(run, tmp_path, shard, flags):
    checkpoint = run / "checkpoints/checkpoint_last.pt"
    flags = (*OURS, "--path", checkpoint, "--batch-size", 4, "--cpu", "--num-workers", 0, *flags)
    code, printed = called("fairseq-validate", run / "data" / shard, *flags, cwd=tmp_path)
    assert code == 0, printed[-3000:]
    assert "seq_acc" in printed


@pytest.mark.slow
def test_numbers_of_hydra_are_checked_before_anything_is_written(tmp_path):
    code, printed = called(
        "fairseq-hydra-train",
        *("--config-dir", ROOT / "examples" / "recipe", "--config-name", "recipe"),
        *(f"common.user_dir={ROOT / 'ppa_plugin'}", "task.data=data", "optimization.max_update=4", "common.seed=-1"),
        *("checkpoint.finetune_from_model=model.pt", "checkpoint.save_dir=checkpoints"),
        cwd=tmp_path,
    )
    assert code == 2, printed[-3000:]
    assert "error: common.seed=-1 is not a whole number from 0 to 4294967295\n" in printed
    assert "Traceback" not in printed
    assert not list(tmp_path.rglob("checkpoints"))
