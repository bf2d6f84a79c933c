"""Step 1: a seeded sample of each language's lines, in the order of the file."""

import dataclasses
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
    settings = {"seed": group.seed, **dataclasses.asdict(group.sampling)}
    inputs = {lang: {"file": workspace.digest(path), **settings} for lang, path in paths.items()}
    made = [lang for lang in paths if not workspace.is_done(f"sample {lang}", inputs[lang])]
    # Every file is read to its end, and a bad byte found, before the first is written.
    counts = {lang: sum(1 for _ in progress(read_lines(paths[lang]), f"read {lang}")) for lang in made}
    for lang, path in paths.items():
        if lang not in made:
            workspace.say(f"sample    {lang}  unchanged")
            continue
        read = counts[lang]
        kept = sample_size(read, group.sampling)
        taken = np.zeros(read, dtype=bool)
        taken[random_order(read, group.seed, "sample", lang)[:kept]] = True
        with write_beside(workspace.text(lang)) as handle:
            handle.writelines(f"{line}\n" for line, take in zip(read_lines(path), taken, strict=True) if take)
        sampled = {"read": read, "not_sampled": read - kept}
        workspace.record(f"sample {lang}", inputs[lang], [workspace.text(lang)], sampled)
        workspace.say(f"sample    {lang}  {read:,} lines read from {path}, {kept:,} taken")
