"""Step 4: shards as fairseq-preprocess writes them, a part of every language in each, and the one dictionary."""

import functools
import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from ppa_preprocess import encode
from ppa_preprocess.group import Group
from ppa_preprocess.manifest import write_manifest
from ppa_preprocess.tokens.binarizers import BINARIZERS, Part, shard_bounds, write_blocks
from ppa_preprocess.workspace import Workspace, fresh_directory, remove_if_empty

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.data.shards import binarized_path, index_sizes
from ppa_plugin.data.tokenizer_file import FILES
from ppa_plugin.data.vocabulary import SENTENCEPIECE, tokenizer_files, write_dictionary
from ppa_plugin.files import write_beside
from ppa_plugin.parallel import Workers, map_ordered

_SHARD = re.compile(r"shard\d{2,}")


def run(group: Group, spm: Path, workspace: Workspace, workers: Workers) -> None:
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
        for name in workspace.recorded(task)["files"]:
            (workspace.output / name).unlink(missing_ok=True)
        remove_if_empty(workspace.data_bin / task.removeprefix("binarize "))
    workspace.forget(stale)
    _remove_empty_shards(workspace)
    if made:
        import fairseq_cli.preprocess  # noqa: F401 - takes seconds: here once, not in each of the forked processes
    function = functools.partial(binarize_part, group.binarizer, workspace.dictionary)
    # closed at once if recording fails, so that no process writes on after this directory is given free
    with closing(map_ordered(function, made, workers)) as results:
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


def binarize_part(binarizer: str, dictionary: Path, part: Part) -> list[Path]:
    """Binarize one part and return its files; checks the number of tokens of every row against what was encoded."""
    with fresh_directory(part.target) as directory:
        for (split, side), expected in BINARIZERS[binarizer](dictionary, part, directory).items():
            if not np.array_equal(index_sizes(binarized_path(directory, split, side)), expected):
                raise RuntimeError(f"{binarizer} made other tokens of {part.lang} {split}.{side} than were encoded")
        if part.alignment:
            write_blocks(part, directory)
    return sorted(part.target.iterdir())


def _remove_empty_shards(workspace: Workspace) -> None:
    """Remove what is left of shards that the group has no more: training would make an epoch of an empty directory."""
    for shard in workspace.data_bin.glob("shard*"):
        if _SHARD.fullmatch(shard.name):
            for directory in (*shard.glob("*"), shard):
                remove_if_empty(directory)


def _parts(group: Group, lang: str, spm: Path, workspace: Workspace) -> list[Part]:
    """Spread a language's training lines evenly over the shards; its validation lines go into the first."""
    encoded = workspace.encoded(lang)
    if not workspace.is_done(f"encode {lang}", encode.task_inputs(group, lang, spm, workspace)):
        raise UserError(
            f"{encoded} is missing or was made from other pairs, settings or --spm or for another --binarizer: run "
            "`ppa-preprocess encode` first, or `all`"
        )
    counts = workspace.recorded(f"encode {lang}")["counts"]
    if counts["train"] < group.shards:
        raise UserError(
            f"{lang} has {counts['train']} training pairs for {group.shards} shards: lower `shards` or leave it out"
        )
    return [
        Part(lang, shard, encoded, start, stop, shard == 0 and counts["valid"] > 0, target, group.alignment)
        for shard, (start, stop) in enumerate(shard_bounds(counts["train"], group.shards))
        for target in [workspace.shard(shard, lang)]
    ]


def _task_inputs(part: Part, workspace: Workspace) -> dict[str, Any]:
    return {
        "encoded": workspace.recorded(f"encode {part.lang}")["files"],
        "dictionary": workspace.digest(workspace.dictionary),
        "lines": [part.start, part.stop],
    }


def _write_vocabulary(spm: Path, workspace: Workspace) -> None:
    files = tokenizer_files(spm)
    inputs = {"sentencepiece": workspace.digest(spm)}
    inputs |= {name: workspace.digest(path) for name, path in files.items() if path != spm}
    if workspace.is_done("vocabulary", inputs):
        return
    workspace.manifest.unlink(missing_ok=True)
    for name in (SENTENCEPIECE, *FILES):  # of a tokenizer of the other kind
        (workspace.data_bin / name).unlink(missing_ok=True)
    write_dictionary(spm, workspace.dictionary)
    copies = [workspace.data_bin / name for name in files]
    for path, target in zip(files.values(), copies, strict=True):
        with open(path, "rb") as source, write_beside(target, "wb") as copy:
            shutil.copyfileobj(source, copy)
    workspace.record("vocabulary", inputs, [workspace.dictionary, *copies], {})
