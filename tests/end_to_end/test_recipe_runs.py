"""The scripts of examples/ train, and the recipe's two forms end in equal parameters."""

import os
import shutil
import subprocess

import pytest
from made_up_shards import write_shards
from training import BIN, ROOT, largest_difference, parameters, train

SCRIPTS = ROOT / "examples" / "recipe"
FLAGS = (
    *("--cpu", "--memory-efficient-fp16", "--fp16-init-scale", "4", "--update-freq", "2", "--num-workers", "0"),
    *("--encoder-layers", "3", "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "24"),
    *("--encoder-attention-heads", "2"),
)
OVERRIDES = (
    *("common.cpu=true", "common.memory_efficient_fp16=true", "common.fp16_init_scale=4", "dataset.num_workers=0"),
    *("optimization.update_freq=[2]", "model.encoder_layers=3", "model.encoder_embed_dim=16"),
    *("model.encoder_ffn_embed_dim=24", "model.encoder_attention_heads=2"),
)


@pytest.mark.slow
def test_flags_and_hydra_train_the_same_model(tmp_path):
    data = write_shards(tmp_path / "run" / "data-bin", 200, shards=2)
    train(data, tmp_path / "base", "--max-update", 1)
    (tmp_path / "converted").mkdir()
    shutil.copy(tmp_path / "base" / "checkpoint_last.pt", tmp_path / "converted" / "model.pt")
    paths = {
        "RUN": "run",
        "CONVERTED": "converted",
        "MAX_UPDATE": "3",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    for script, arguments in (("3_train.sh", FLAGS), ("3_train_hydra.sh", OVERRIDES)):
        subprocess.run(
            [str(SCRIPTS / script), *arguments],
            cwd=tmp_path,
            check=True,
            env=os.environ | paths | {"CHECKPOINTS": script, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        )
    flags, hydra = (parameters(tmp_path / script) for script in ("3_train.sh", "3_train_hydra.sh"))
    assert largest_difference(flags, hydra) == 0
    assert largest_difference(flags, parameters(tmp_path / "converted", "model.pt")) > 0
    assert {path.name for path in tmp_path.iterdir()} == {"run", "base", "converted", "3_train.sh", "3_train_hydra.sh"}
