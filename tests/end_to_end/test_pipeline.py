"""A user's path on 40 pairs, public commands only: preprocess -> train 4 updates -> resume -> convert -> evaluate."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
import torch
import yaml

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
WORDS = {
    "ell_Grek": ["πόλη", "θάλασσα", "βουνό", "ποτάμι", "χωριό", "δρόμος", "νησί", "λιμάνι"],
    "heb_Hebr": ["עיר", "ים", "הר", "נהר", "כפר", "רחוב", "אי", "נמל"],
    "eng_Latn": ["city", "sea", "mountain", "river", "village", "street", "island", "harbour"],
}
FLAGS = """
--mlm-weight --mlm-sides --seq-weight --tlm-weight --seq-layer --seq-temperature --seq-pooling --seq-similarity
--seq-gather --mask-prob --mask-keep --mask-random --max-positions --batch-order --tlm-truncation
--encoder-layers --encoder-embed-dim --encoder-ffn-embed-dim --encoder-attention-heads
--dropout --attention-dropout --activation-dropout
"""


def sentences(lang: str, count: int) -> list[str]:
    words = WORDS[lang]
    return [f"{words[i % 8]} {words[i // 8 % 8]} {words[(i * 5 + 3) % 8]} {i}" for i in range(count)]


def ppa(*command, code: int = 0) -> subprocess.CompletedProcess:
    command = [str(BIN / command[0]), *map(str, command[1:])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def train(data: Path, save_dir: Path, *flags, code: int = 0) -> subprocess.CompletedProcess:
    return ppa(
        *("fairseq-train", data, "--user-dir", ROOT / "ppa_plugin", "--task", "translit_alignment"),
        *("--criterion", "translit_alignment", "--arch", "translit_tiny", "--cpu", "--num-workers", 0),
        *("--encoder-layers", 3, "--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 24),
        *("--encoder-attention-heads", 2, "--optimizer", "adam", "--adam-betas", "(0.9, 0.999)", "--lr", 1e-3),
        *("--lr-scheduler", "polynomial_decay", "--max-update", 4, "--batch-size", 8, "--update-freq", 2),
        *("--save-interval-updates", 2, "--log-format", "json", "--save-dir", save_dir, *flags),
        code=code,
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """20 training pairs in each of two languages, their shards, and a base model in Hugging Face's layout."""
    work = tmp_path_factory.mktemp("work")
    (work / "corpus").mkdir()
    for lang in ("ell_Grek", "heb_Hebr"):
        (work / "corpus" / f"{lang}.txt").write_text("\n".join(sentences(lang, 24)) + "\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([s for lang in WORDS for s in sentences(lang, 64)]),
        model_prefix=str(work / "spm"),
        vocab_size=75,
        character_coverage=1.0,
        minloglevel=2,
    )
    group = {
        "name": "tiny",
        "seed": 1,
        "shards": 1,
        "valid_size": 4,
        "sampling": {"share": 1.0, "min_lines": 10},
        "languages": {"ell_Grek": {"uroman": None}, "heb_Hebr": {"uroman": None}},
    }
    (work / "group.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    ppa(
        *("ppa-preprocess", "all", "--config", work / "group.yaml", "--input", work / "corpus"),
        *("--spm", work / "spm.model", "--output", work / "data", "--workers", 1),
    )
    return work


def parameters(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["model"]


def test_from_text_to_retrieval(work):
    shard, straight, resumed = work / "data/data-bin/shard00", work / "straight", work / "resumed"
    log = train(shard, straight)
    train_logs = [json.loads(line[line.index("{") :]) for line in log.stdout.splitlines() if '"train_loss"' in line]
    assert {"train_mlm_orig", "train_mlm_latn", "train_seq", "train_tlm", "train_seq_acc"} <= train_logs[-1].keys()
    assert train_logs[-1]["train_num_updates"] == "4"

    resumed.mkdir()
    (halfway,) = straight.glob("checkpoint_*_2.pt")
    shutil.copy(halfway, resumed / "checkpoint_last.pt")
    assert "@ 2 updates" in train(shard, resumed).stdout
    ours, theirs = (parameters(path / "checkpoint_last.pt") for path in (straight, resumed))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(not torch.equal(ours[name], tensor) for name, tensor in parameters(halfway).items())

    ppa("ppa-convert", "to-hf", straight / "checkpoint_last.pt", work / "aligned")
    ppa("ppa-convert", "to-fairseq", work / "aligned", work / "again")
    again = parameters(work / "again/model.pt")
    assert again.keys() == ours.keys()
    assert all(torch.equal(ours[name], again[name]) for name in ours)
    train(shard, work / "finetuned", "--finetune-from-model", work / "again/model.pt", "--max-update", 1)

    evaluation = work / "bible"
    evaluation.mkdir()
    for lang in ("ell_Grek", "heb_Hebr"):
        for side in (lang, "eng_Latn"):
            path = evaluation / f"bible.{lang}-eng_Latn.{side}"
            path.write_text("\n".join(sentences(side, 12)) + "\n", encoding="utf-8")
    ppa(
        *("ppa-evaluate", "retrieval", "--model", work / "aligned", "--data", evaluation, "--task", "bible"),
        *("--sources", "eng_Latn", "--output", work / "results.jsonl"),
    )
    results = [json.loads(line) for line in (work / "results.jsonl").read_text().splitlines()]
    assert {(r["target"], r["metric"]) for r in results} == {
        (lang, f"top{k}") for lang in ("ell_Grek", "heb_Hebr") for k in (1, 5, 10)
    }
    assert all(0 <= r["value"] <= 1 and r["n"] == 12 and r["layer"] == 2 for r in results)


def test_bad_input_is_one_sentence_and_exit_code_2(work, tmp_path):
    shard = work / "data/data-bin/shard00"
    done = train(shard, tmp_path / "run", "--seq-layer", 9, code=2)
    assert "error: --seq-layer 9 is beyond the model's depth, 3 blocks" in done.stderr
    assert "Traceback" not in done.stderr
    done = train(tmp_path / "nowhere", tmp_path / "run", code=2)
    assert "error: no dict.txt in" in done.stderr


def test_help_lists_every_flag():
    text = ppa(
        *("fairseq-train", "--user-dir", ROOT / "ppa_plugin", "--task", "translit_alignment"),
        *("--criterion", "translit_alignment", "--help"),
    ).stdout
    for flag in FLAGS.split():
        position = text.rindex(f"  {flag} ")
        description = text[position : position + 200].split("\n  -")[0].split(maxsplit=2)
        assert len(description) == 3, f"{flag} has no help text"
