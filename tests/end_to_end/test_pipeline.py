"""A user's path on 40 pairs, public commands only: preprocess -> train 4 updates -> resume -> convert -> evaluate."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import sentencepiece
from small_corpus import WORDS, sentences, write_corpus
from training import BIN, ROOT, largest_difference, load, losses, parameters, train

FLAGS = """
--mlm-weight --mlm-sides --seq-weight --tlm-weight --seq-layer --seq-temperature --seq-pooling --seq-similarity
--seq-gather --mask-prob --mask-keep --mask-random --max-positions --batch-order --tlm-truncation
--encoder-layers --encoder-embed-dim --encoder-ffn-embed-dim --encoder-attention-heads
--dropout --attention-dropout --activation-dropout
"""


def ppa(*command, code: int = 0) -> subprocess.CompletedProcess:
    command = [str(BIN / command[0]), *map(str, command[1:])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """20 training pairs in each of two languages, their shards, and a base model in Hugging Face's layout."""
    work = tmp_path_factory.mktemp("work")
    write_corpus(work)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([s for lang in WORDS for s in sentences(lang, 64)]),
        model_prefix=str(work / "spm"),
        vocab_size=75,
        character_coverage=1.0,
        minloglevel=2,
    )
    ppa(
        *("ppa-preprocess", "all", "--config", work / "group.yaml", "--input", work / "corpus"),
        *("--spm", work / "spm.model", "--output", work / "data", "--workers", 1),
    )
    return work


def test_from_text_to_retrieval(work):
    shard, straight, resumed = work / "data/data-bin/shard00", work / "straight", work / "resumed"
    flags = ("--update-freq", 2, "--save-interval-updates", 2, "--adam-betas", "(0.9, 0.999)")
    printed = train(shard, straight, *flags, validate=True)
    for key in ("loss", "mlm_orig", "mlm_latn", "seq", "tlm", "seq_acc", "masked", "tokens", "padding", "pairs_per_s"):
        assert sorted(losses(printed, key)) == [1, 2, 3, 4]

    resumed.mkdir()
    shutil.copy(straight / "checkpoint_1_2.pt", resumed / "checkpoint_last.pt")
    assert "@ 2 updates" in train(shard, resumed, *flags, validate=True)
    ours = parameters(straight)
    assert largest_difference(ours, parameters(resumed)) == 0
    assert largest_difference(ours, parameters(straight, "checkpoint_1_2.pt")) > 0

    ppa("ppa-convert", "to-hf", straight / "checkpoint_last.pt", work / "aligned")
    ppa("ppa-convert", "to-fairseq", work / "aligned", work / "again")
    assert largest_difference(ours, parameters(work / "again", "model.pt")) == 0
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


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_checkpoints_are_selected_by_retrieval(work, tmp_path, ranks):
    (tmp_path / "tatoeba").mkdir()
    for code, language in (("ell", "ell_Grek"), ("heb", "heb_Hebr")):
        for side, of in ((code, language), ("eng", "eng_Latn")):
            path = tmp_path / "tatoeba" / f"tatoeba.{code}-eng.{side}"
            path.write_text("\n".join(sentences(of, 30)) + "\n", encoding="utf-8")
    printed = train(
        *(work / "data/data-bin/shard00", tmp_path / "run", "--retrieval-data", tmp_path / "tatoeba", "--lr", 1e-2),
        *(
            "--max-update",
            6,
            "--save-interval-updates",
            2,
            "--validate-interval-updates",
            2,
            "--batch-size",
            8 // ranks,
        ),
        *("--best-checkpoint-metric", "retrieval_top10", "--maximize-best-checkpoint-metric"),
        ranks=ranks,
        validate=True,
    )
    found = losses(printed, "retrieval_top10", "valid")
    assert {2, 4, 6} <= found.keys()
    best = load(tmp_path / "run/checkpoint_best.pt")
    assert best["extra_state"]["val_loss"] == pytest.approx(max(found.values()), abs=1e-4)
    assert found[best["optimizer_history"][-1]["num_updates"]] == max(found.values())


def test_bad_input_is_one_sentence_and_exit_code_2(work, tmp_path):
    printed = train(work / "data/data-bin/shard00", tmp_path / "run", "--seq-layer", 9, code=2)
    assert "error: --seq-layer 9 is beyond the model's depth, 3 blocks" in printed
    assert "Traceback" not in printed
    assert "error: no dict.txt in" in train(tmp_path / "nowhere", tmp_path / "run", code=2)


def test_help_lists_every_flag():
    text = ppa(
        *("fairseq-train", "--user-dir", ROOT / "ppa_plugin", "--task", "translit_alignment"),
        *("--criterion", "translit_alignment", "--help"),
    ).stdout
    for flag in FLAGS.split():
        position = text.rindex(f"  {flag} ")
        description = text[position : position + 200].split("\n  -")[0].split(maxsplit=2)
        assert len(description) == 3, f"{flag} has no help text"
