"""The miniature's text, language by language, to pairs and shards, by the public commands."""

import os
from pathlib import Path

import sentencepiece
import yaml
from steps import run

ENGLISH = "eng_Latn"


def pretraining_corpus(data: Path, groups: tuple[str, ...]) -> dict[str, Path]:
    """The file of every language of these groups, and of English."""
    folders = [data / "corpus" / name for name in (*groups, "eng")]
    corpus = {path.stem: path for folder in folders for path in sorted(folder.glob("*.txt"))}
    if ENGLISH not in corpus or len(corpus) < 2:
        raise SystemExit(f"error: {data} holds no corpus/GROUP/LANG.txt or no corpus/eng/{ENGLISH}.txt; see README.md")
    return corpus


def vocabulary(out: Path, corpus: dict[str, Path], pieces: int) -> None:
    """A SentencePiece model of the original scripts, whose letters are all kept: romanizations bring no new ones."""
    if (out / "sentencepiece.bpe.model").is_file():
        return
    sentencepiece.SentencePieceTrainer.train(
        input=[str(path) for path in corpus.values()],
        model_prefix=str(out / "new.bpe"),
        vocab_size=pieces,
        character_coverage=0.9999,
        input_sentence_size=200_000,
        num_threads=os.cpu_count(),
        minloglevel=2,
    )
    (out / "new.bpe.model").rename(out / "sentencepiece.bpe.model")


def preprocess(
    out: Path, name: str, text: dict[str, Path], spm: Path, max_tokens: int, with_blocks: bool = False
) -> None:
    """Text to shards in `out/work/NAME`, all lines of it; romanized parts are shared through one cache."""
    flags = (*group_flags(out, name, text, max_tokens, with_blocks), "--input", out / "text" / name, "--spm", spm)
    log = out / "logs" / f"preprocess_{name}.log"
    run(log, "ppa-preprocess", "all", *flags, "--binarizer", "direct", "--cache", out / "romanized")


def romanize(out: Path, name: str, text: dict[str, Path], max_tokens: int) -> None:
    """The first two steps of `preprocess`, which need no vocabulary."""
    flags = (*group_flags(out, name, text, max_tokens), "--binarizer", "direct")
    run(out / "logs" / f"sample_{name}.log", "ppa-preprocess", "sample", *flags, "--input", out / "text" / name)
    log = out / "logs" / f"romanize_{name}.log"
    run(log, "ppa-preprocess", "romanize", *flags, "--cache", out / "romanized")


def group_flags(out: Path, name: str, text: dict[str, Path], max_tokens: int, with_blocks: bool = False) -> tuple:
    """Write the group file and gather its text; the flags that name the group and where its work lies."""
    folder = out / "text" / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in text.values():
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    group = {
        "name": name,
        "seed": 1,
        "shards": 1,
        "valid_size": 50,
        "sampling": {"share": 1.0, "min_lines": 0},
        "max_tokens": max_tokens,
        "alignment": with_blocks,
        "languages": {language: {"uroman": None} for language in text},
    }
    (out / f"{name}.yaml").write_text(yaml.safe_dump(group, sort_keys=False), encoding="utf-8")
    return ("--config", out / f"{name}.yaml", "--output", out / "work" / name)
