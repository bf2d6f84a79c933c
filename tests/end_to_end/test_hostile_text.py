"""10,000 generated pairs of hostile text, through preprocessing and an epoch of training, without a crash or a NaN."""

import json
import math
import random
import subprocess
from pathlib import Path

import pytest
import sentencepiece
from training import BIN, ROOT, losses, train

LETTERS = "abcdefghijklmnopqrstuvwxyzαβγδεζηθικλμνξοπρστυφχψωабвгдежзиклмнопрстуאבגדהוזחטיכלמנסעפצקרשת가나다라마바사"
HOSTILE = [
    "",
    " ",
    "x",
    "。",
    "<s>",
    "</s> <pad> <unk> <mask>",
    "#fairseq:overwrite 3",
    "\t\x0b\x0c\r",
    "\x00\x01\x1f\x7f",
    "line\u2028separator\u2029and\x85next line",
    "\ufeffbom \u200b zero width \u202e override",
    "e\u0301\u0301\u0301\u0301",
    "👩‍👩‍👧‍👦 🏴‍☠️",
    "\U000e0041\U0010ffff\ue000",
    "十分之戇居",
    "ན" * 300,
    "word " * 2000,
    "z" * 10_000,
]


def write_hostile_corpus(directory: Path, generator: random.Random, lines: int) -> None:
    """Three languages, `lines` lines in all: ordinary ones, hostile ones, and mixtures of both."""
    directory.mkdir()
    for language in ("aaa_Latn", "bbb_Grek", "ccc_Hani"):
        with open(directory / f"{language}.txt", "w", encoding="utf-8", newline="\n") as handle:
            for _ in range(lines // 3):
                words = ["".join(generator.choices(LETTERS, k=generator.randint(1, 9))) for _ in range(6)]
                if generator.random() < 0.1:
                    words[generator.randrange(6)] = generator.choice(HOSTILE[:-3])
                if generator.random() < 0.02:
                    words = [generator.choice(HOSTILE)]
                handle.write(" ".join(words) + "\n")


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_ten_thousand_hostile_pairs(tmp_path):
    write_hostile_corpus(tmp_path / "corpus", random.Random(3), lines=10_002)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(LETTERS), *LETTERS] * 3),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=len(set(LETTERS)) + 5,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    group = {
        "name": "hostile",
        "valid_size": 50,
        "shards": 1,
        "sampling": {"share": 1.0, "min_lines": 1},
        "languages": {language: {"uroman": None} for language in ("aaa_Latn", "bbb_Grek", "ccc_Hani")},
    }
    (tmp_path / "group.yaml").write_text(json.dumps(group), encoding="utf-8")
    output = tmp_path / "work"
    done = subprocess.run(
        [
            *(str(BIN / "ppa-preprocess"), "all", "--config", str(tmp_path / "group.yaml")),
            *("--input", str(tmp_path / "corpus"), "--spm", str(tmp_path / "spm.model"), "--output", str(output)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((output / "data-bin/manifest.json").read_text(encoding="utf-8"))
    dropped = [json.loads(line) for line in (output / "dropped.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert dropped
    assert set(manifest["languages"]) == {"aaa_Latn", "bbb_Grek", "ccc_Hani"}

    flags = ("--max-epoch", 1, "--max-update", 1000, "--batch-size", 100, "--max-tokens", 20_000)
    printed = train(output / "data-bin/shard00", tmp_path / "run", *flags, "--log-interval", 10, validate=True)
    for key in ("loss", "mlm_orig", "mlm_latn", "seq", "tlm"):
        values = losses(printed, key) | losses(printed, key, "valid")
        assert values
        assert all(math.isfinite(value) for value in values.values())
