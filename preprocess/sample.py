"""Step 1: a seeded sample of each language's lines, in the order of the file."""

import hashlib
from pathlib import Path

import numpy as np
from ppa_preprocess.group import Group, Sampling
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.files import read_lines, write_beside


def random_order(count: int, seed: int, purpose: str, lang: str) -> np.ndarray:
    """A permutation of range(count) that depends on the arguments alone."""
    digest = hashlib.sha256(f"{seed} {purpose} {lang}".encode()).digest()
    keys = np.random.default_rng(int.from_bytes(digest)).random(count)
    return np.argsort(keys, kind="stable")


def sample_size(count: int, sampling: Sampling) -> int:
    """How many of `count` lines are taken: the share, but no fewer than `min_lines` where there are as many."""
    return min(count, max(round(count * sampling.share), sampling.min_lines))


def source_file(source: Path, lang: str) -> Path:
    """The file of a language in the directory `source`; raises `UserError` where it is missing or empty."""
    path = source / f"{lang}.txt"
    if not path.is_file():
        raise UserError(f"{path} is missing: the group lists {lang}, and --input has to hold one file for each")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty")
    return path


def run(group: Group, source: Path, workspace: Workspace) -> None:
    """Write `text/<lang>.txt` for every language; raises `UserError` for a missing, empty or non-UTF-8 file."""
    paths = {lang: source_file(source, lang) for lang in group.languages}
    for lang, path in paths.items():
        inputs = {
            "file": workspace.digest(path),
            "seed": group.seed,
            "share": group.sampling.share,
            "min_lines": group.sampling.min_lines,
        }
        if workspace.is_done(f"sample {lang}", inputs):
            workspace.say(f"sample    {lang}  unchanged")
            continue
        read = sum(1 for _ in progress(read_lines(path), f"read {lang}"))
        kept = sample_size(read, group.sampling)
        taken = np.zeros(read, dtype=bool)
        taken[random_order(read, group.seed, "sample", lang)[:kept]] = True
        with write_beside(workspace.text(lang)) as handle:
            handle.writelines(f"{line}\n" for line, take in zip(read_lines(path), taken, strict=True) if take)
        counts = {"read": read, "not_sampled": read - kept}
        workspace.record(f"sample {lang}", inputs, [workspace.text(lang)], counts)
        workspace.say(f"sample    {lang}  {read:,} lines read from {path}, {kept:,} taken")
