"""50 kills of a training and 50 of preprocessing, at random moments: every outcome is that of the undisturbed run."""

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest
import sentencepiece
from made_up_shards import write_shards
from training import BIN, ROOT, command, largest_difference, parameters

KILLS = 50
WORDS = {
    "ell_Grek": ["πόλη", "θάλασσα", "βουνό", "ποτάμι", "χωριό", "δρόμος", "νησί", "λιμάνι"],
    "heb_Hebr": ["עיר", "ים", "הר", "נהר", "כפר", "רחוב", "אי", "נמל"],
    "tha_Thai": ["เมือง", "ทะเล", "ภูเขา", "แม่น้ำ", "หมู่บ้าน", "ถนน", "เกาะ", "ท่าเรือ"],
}


def run_killed(arguments: list[str], generator: random.Random, longest: float) -> int:
    """Start a command and kill it, with its children, after up to `longest` seconds; then run it to its end.

    Returns the exit code of the last run.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(arguments, cwd=ROOT, env=environment, start_new_session=True, **quiet)
    time.sleep(generator.uniform(0.1, 1.0) * longest)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return subprocess.run(arguments, cwd=ROOT, env=environment, timeout=300, **quiet).returncode


def training_kills(work: Path) -> int:
    """How many of the killed trainings end with the parameters of the undisturbed one."""
    data = write_shards(work / "data", pairs=60, shards=2)

    def arguments(save_dir: Path) -> list[str]:
        return command(data, save_dir, "--max-update", 12, "--save-interval-updates", 2, "--keep-interval-updates", 2)

    started = time.monotonic()
    subprocess.run(arguments(work / "undisturbed"), cwd=ROOT, check=True, capture_output=True)
    whole = time.monotonic() - started
    expected, generator, identical = parameters(work / "undisturbed"), random.Random(1), 0
    for kill in range(KILLS):
        save_dir = work / f"killed{kill}"
        code = run_killed(arguments(save_dir), generator, whole)
        identical += code == 0 and largest_difference(expected, parameters(save_dir)) == 0
    return identical


def made(output: Path) -> dict[str, bytes]:
    """Every file of the finished shards, and the pairs left out."""
    paths = [*(path for path in sorted((output / "data-bin").rglob("*")) if path.is_file()), output / "dropped.jsonl"]
    return {str(path.relative_to(output)): path.read_bytes() for path in paths}


def preprocessing_kills(work: Path) -> int:
    """How many of the killed runs of `ppa-preprocess all` end with the files of the undisturbed one."""
    generator = random.Random(2)
    lines = {
        language: [" ".join(generator.choices(words, k=6)) + f" {i}" for i in range(150)]
        for language, words in WORDS.items()
    }
    (work / "corpus").mkdir()
    for language, text in lines.items():
        (work / "corpus" / f"{language}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=chain(*lines.values(), ["abcdefghijklmnopqrstuvwxyz " * 3]),
        model_prefix=str(work / "spm"),
        vocab_size=100,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    group = {"name": "killed", "shards": 2, "valid_size": 20, "languages": {lang: {"uroman": None} for lang in WORDS}}
    (work / "group.yaml").write_text(json.dumps(group), encoding="utf-8")  # JSON is YAML

    def arguments(output: Path, binarizer: str) -> list[str]:
        flags = ("--config", work / "group.yaml", "--input", work / "corpus", "--spm", work / "spm.model")
        flags += ("--binarizer", binarizer, "--output", output, "--workers", 2)
        return [str(part) for part in (BIN / "ppa-preprocess", "all", *flags)]

    binarizers, expected, identical = ("fairseq-preprocess", "direct"), {}, 0
    for binarizer in binarizers:
        started = time.monotonic()
        subprocess.run(arguments(work / binarizer, binarizer), cwd=ROOT, check=True, capture_output=True)
        whole = time.monotonic() - started
        expected[binarizer] = made(work / binarizer)
        assert len(expected[binarizer]) > 20
    for kill in range(KILLS):
        output, binarizer = work / f"killed{kill}", binarizers[kill % len(binarizers)]
        code = run_killed(arguments(output, binarizer), generator, whole)
        identical += code == 0 and made(output) == expected[binarizer]
    return identical


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_kills_change_nothing(tmp_path, capsys):
    for name in ("training", "preprocessing"):
        (tmp_path / name).mkdir()
    with ThreadPoolExecutor() as both:
        training = both.submit(training_kills, tmp_path / "training")
        preprocessing = both.submit(preprocessing_kills, tmp_path / "preprocessing")
    identical = training.result(), preprocessing.result()
    with capsys.disabled():
        print(f"\n{identical[0]} of {KILLS} trainings and {identical[1]} of {KILLS} preprocessings:")
        print(f"{sum(identical)} of {2 * KILLS} identical outcomes")
    assert identical == (KILLS, KILLS)
