"""Step 4: fairseq-preprocess's own code, in process, for every language and shard, with the checkpoint's dictionary."""

import functools
import itertools
import logging
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ppa_preprocess import encode
from ppa_preprocess.group import Group
from ppa_preprocess.lines import open_lines
from ppa_preprocess.manifest import write_manifest
from ppa_preprocess.parallel import map_ordered
from ppa_preprocess.workspace import SIDES, Workspace, fresh_directory

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.data.vocabulary import write_dictionary
from ppa_plugin.files import write_beside


@dataclass(frozen=True)
class Part:
    """The part of a language that goes into one shard: training lines from `start` to `stop`, validation or not."""

    lang: str
    shard: int
    encoded: Path
    start: int
    stop: int
    valid: bool
    target: Path

    @property
    def task(self) -> str:
        return f"binarize shard{self.shard:02d}/{self.lang}"


def run(group: Group, spm: Path, workspace: Workspace, workers: int) -> None:
    """Write `data-bin/`: a directory for each shard and language, the dictionary, SentencePiece model and manifest.

    Raises `UserError` where the encoded files are missing or were made from something else than pairs, settings and
    SentencePiece model are now, and where a language has fewer training pairs than there are shards.
    """
    parts = [part for lang in group.languages for part in _parts(group, lang, spm, workspace)]
    _write_vocabulary(spm, workspace)
    inputs = {part: _task_inputs(part, workspace) for part in parts}
    made = [part for part in parts if not workspace.is_done(part.task, inputs[part])]
    kept = {part.task for part in parts} - {part.task for part in made}
    stale = [task for task in workspace.tasks("binarize") if task not in kept]
    if made or stale:
        # half of it would describe files that are no more
        workspace.manifest.unlink(missing_ok=True)
    for task in stale:
        shutil.rmtree(workspace.data_bin / task.removeprefix("binarize "), ignore_errors=True)
    workspace.forget(stale)
    results = map_ordered(functools.partial(binarize_part, workspace.dictionary), made, min(workers, max(1, len(made))))
    for part, files in zip(made, progress(results, "binarize", len(made), "part"), strict=True):
        workspace.record(part.task, inputs[part], files, {})
    write_manifest(group, workspace)
    workspace.say(
        f"binarize  {len(made)} parts (a language in a shard) written, {len(parts) - len(made)} unchanged "
        f"-> {workspace.data_bin}"
    )


def check_path(output: Path) -> None:
    """Raise `UserError` where fairseq would take the path for several."""
    for character in ",:":
        if character in str(output.resolve()):
            raise UserError(
                f"--output {output}: fairseq splits paths at {character!r}, choose a directory without it in its path"
            )


def binarize_part(dictionary: Path, part: Part) -> list[Path]:
    """Binarize one part with fairseq-preprocess and return its files; checks every line's number of tokens."""
    with fresh_directory(part.target) as directory:
        text = directory / "text"
        text.mkdir()
        sizes = {}
        for side in SIDES:
            sizes["train", side] = _copy_lines(part.encoded, "train", side, text, part.start, part.stop)
            if part.valid:
                sizes["valid", side] = _copy_lines(part.encoded, "valid", side, text, 0, None)
        _fairseq_preprocess(text, directory, dictionary, part.valid)
        shutil.rmtree(text)
        (directory / "preprocess.log").unlink()
        for side in SIDES:
            (directory / f"dict.{side}.txt").unlink()
        for (split, side), expected in sizes.items():
            prefix = directory / f"{split}.orig-latn.{side}"
            if not np.array_equal(index_sizes(prefix), expected):
                raise RuntimeError(f"fairseq-preprocess split {part.lang} {split}.{side} into other tokens than ours")
    return sorted(part.target.iterdir())


def index_sizes(prefix: Path) -> np.ndarray:
    """The number of tokens of each line, </s> included, from a binarized file's .idx."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    dataset = MMapIndexedDataset(str(prefix))
    return dataset.sizes.copy()  # they lie in the mapped file, which closes with the dataset


def _parts(group: Group, lang: str, spm: Path, workspace: Workspace) -> list[Part]:
    """Spread a language's training lines evenly over the shards; its validation lines go into the first."""
    encoded = workspace.encoded(lang)
    if not workspace.is_done(f"encode {lang}", encode.task_inputs(group, lang, spm, workspace)):
        raise UserError(
            f"{encoded} is missing or was made from other pairs, settings or --spm: run `ppa-preprocess encode` first, "
            "or `all`"
        )
    counts = workspace.recorded(f"encode {lang}")["counts"]
    if counts["train"] < group.shards:
        raise UserError(
            f"{lang} has {counts['train']} training pairs for {group.shards} shards: lower `shards` or leave it out"
        )
    bounds = [counts["train"] * shard // group.shards for shard in range(group.shards + 1)]
    return [
        Part(lang, shard, encoded, start, stop, shard == 0 and counts["valid"] > 0, workspace.shard(shard, lang))
        for shard, (start, stop) in enumerate(itertools.pairwise(bounds))
    ]


def _task_inputs(part: Part, workspace: Workspace) -> dict[str, Any]:
    return {
        "encoded": workspace.recorded(f"encode {part.lang}")["files"],
        "dictionary": workspace.digest(workspace.dictionary),
        "lines": [part.start, part.stop],
    }


def _write_vocabulary(spm: Path, workspace: Workspace) -> None:
    inputs = {"sentencepiece": workspace.digest(spm)}
    if workspace.is_done("vocabulary", inputs):
        return
    workspace.manifest.unlink(missing_ok=True)
    write_dictionary(spm, workspace.dictionary)
    with open(spm, "rb") as source, write_beside(workspace.sentencepiece, "wb") as copy:
        shutil.copyfileobj(source, copy)
    workspace.record("vocabulary", inputs, [workspace.dictionary, workspace.sentencepiece], {})


def _copy_lines(encoded: Path, split: str, side: str, target: Path, start: int, stop: int | None) -> list[int]:
    """Copy lines of an encoded file and return how many tokens each has to have, </s> included."""
    sizes = []
    with open_lines(encoded / f"{split}.{side}") as lines, open(target / f"{split}.{side}", "wb") as handle:
        for index in range(start, len(lines) if stop is None else stop):
            line = lines[index]
            handle.write(line + b"\n")
            sizes.append(line.count(b" ") + 2)
    return sizes


def _fairseq_preprocess(text: Path, target: Path, dictionary: Path, valid: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # fairscale's, about torch.cuda.amp
        from fairseq import options
        from fairseq_cli import preprocess

    args = ["--source-lang", "orig", "--target-lang", "latn", "--workers", "1"]
    args += ["--srcdict", str(dictionary), "--tgtdict", str(dictionary)]
    args += ["--trainpref", str(text.resolve() / "train"), "--destdir", str(target)]
    if valid:
        args += ["--validpref", str(text.resolve() / "valid")]
    preprocess.logger.setLevel(logging.WARNING)  # else four lines for each part
    try:
        preprocess.main(options.get_preprocessing_parser().parse_args(args))
    finally:
        # each call adds a handler that keeps its preprocess.log open
        for handler in list(preprocess.logger.handlers):
            handler.close()
            preprocess.logger.removeHandler(handler)
