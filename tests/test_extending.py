"""docs/extending.md, executed: its code is put where the page says, and run as a user would.

Its tasks of evaluation are in tests/ppa_plugin/evaluation/test_tasks.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
from command_lines import ROOT
from extending_page import CODE
from made_up_shards import write_shards

BIN = Path(sys.executable).parent


def run(*command, cwd: Path) -> str:
    """What a command that succeeds printed, with modules of `cwd` before those that are installed."""
    done = subprocess.run(
        [str(BIN / str(command[0])), *map(str, command[1:])],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def plugin(tmp_path) -> Path:
    """A copy of the plugin with the page's loss term and attention kernel in it."""
    copy = tmp_path / "ppa_plugin"
    shutil.copytree(ROOT / "ppa_plugin", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "ppa_plugin/objectives/uniformity.py").write_text(CODE["ppa_plugin/objectives/uniformity.py"])
    registry = copy / "objectives" / "__init__.py"
    imported, terms = CODE["ppa_plugin/objectives/__init__.py"].split("\n\n")
    text, count = re.subn(r"^TERMS: .*\n", f"{imported}\n{terms}", registry.read_text(), flags=re.M)
    assert count == 1
    registry.write_text(text)
    with open(copy / "model" / "attention.py", "a") as attention:
        attention.write("\n\n" + CODE["ppa_plugin/model/attention.py"])
    return copy


def test_a_loss_term_and_an_attention_kernel_train(plugin, tmp_path):
    shards = write_shards(tmp_path / "data", 16)
    train = ("fairseq-train", shards, "--user-dir", plugin, "--task", "translit_alignment")
    train += ("--criterion", "translit_alignment", "--arch", "translit_tiny", "--encoder-layers", 2, "--cpu")
    train += ("--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 24, "--encoder-attention-heads", 2)
    train += ("--optimizer", "adam", "--lr", "1e-3", "--batch-size", 8, "--max-update", 2, "--num-workers", 0)
    train += ("--log-format", "json", "--log-interval", 1, "--disable-validation", "--no-epoch-checkpoints")
    train += ("--mlm-weight", 0, "--seq-weight", 0, "--tlm-weight", 0)  # the term alone
    out = run(*train, "--uniformity-weight", 0.5, "--attention", "one-by-one", "--save-dir", "made", cwd=tmp_path)
    steps = [json.loads(line[line.index("{") :]) for line in out.splitlines() if '"uniformity"' in line]
    first = steps[0]
    assert float(first["loss"]) == pytest.approx(0.5 * float(first["uniformity"]), abs=1e-3)
    assert -8 < float(first["uniformity"]) < 0  # two points of the sphere are at most 2 apart: exp(-8) to 1


def test_a_romanizer_preprocesses(tmp_path):
    lines = [f"Η πόλη {number} είναι ήσυχη και η θάλασσα ήρεμη" for number in range(12)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ell_Grek.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("my_romanizers.py", "group.yaml"):
        (tmp_path / name).write_text(CODE[name], encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(tmp_path / "small"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    made = ("--config", "group.yaml", "--input", "in", "--spm", "small.model", "--output", "out", "--workers", 2)
    run("ppa-preprocess", "all", *made, cwd=tmp_path)
    latn = (tmp_path / "out/pairs/ell_Grek.latn").read_text(encoding="utf-8").splitlines()
    assert latn[3] == "i poli 3 einai isychi kai i thalassa iremi"
    manifest = json.loads((tmp_path / "out/data-bin/manifest.json").read_text(encoding="utf-8"))
    assert "my_romanizers:Greek" in json.dumps(manifest)
