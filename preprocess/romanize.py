"""Step 2: the Latin side, one line for one line, in parallel processes."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ppa_preprocess.group import Group
from ppa_preprocess.sample import settings_of
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError
from ppa_plugin.files import count_lines, write_beside, write_json_lines
from ppa_plugin.parallel import Workers
from ppa_plugin.romanization.by_part import RESCUED, Romanization
from ppa_plugin.romanization.text_file import romanize_file


def run(group: Group, workspace: Workspace, workers: Workers, cache: Path | None = None) -> None:
    """Write `pairs/<lang>.{orig,latn}` for every language; raises `UserError` where `text/<lang>.txt` is missing.

    With `alignment`, also `pairs/<lang>.edges`: which characters became which, line for line (`romanization.edges`).
    `cache` is the file of a romanizer cache to share with other outputs; None for the workspace's own.
    """
    choice = group.romanizer
    for lang, options in group.languages.items():
        text = workspace.text(lang)
        if not text.is_file():
            raise UserError(f"{text} is missing: run `ppa-preprocess sample` first, or `all`")
        _check_sample(lang, group, workspace)
        place = cache or workspace.romanizer_cache
        settings = Romanization(
            choice.name, options.uroman, choice.normalize_punctuation, place, choice.rescue, group.alignment
        )
        inputs = {"text": workspace.digest(text), **settings.made_with()}
        if workspace.is_done(f"romanize {lang}", inputs):
            workspace.say(f"romanize  {lang}  unchanged")
            continue
        (orig, latn), edges = workspace.pair(lang), workspace.edges(lang)
        edges.unlink(missing_ok=True)
        # Without its Latin side a pair is not encoded: a run killed between the two files leaves nothing shifted.
        latn.unlink(missing_ok=True)
        workspace.forget([f"romanize {lang}", f"encode {lang}"])
        with open(text, "rb") as source, write_beside(orig, "wb") as copy:
            shutil.copyfileobj(source, copy)
        outcome = Outcome.of(romanize_file(text, latn, settings, workers, lang, edges))
        records = [workspace.dropped_by("romanize", lang), workspace.in_doubt(lang)]
        for path, lines in zip(records, (outcome.failed, outcome.in_doubt), strict=True):
            write_json_lines(path, lines)
        files = [orig, latn, *records, *([edges] if group.alignment else [])]
        workspace.record(f"romanize {lang}", inputs, files, outcome.counts())
        workspace.say(f"romanize  {lang}  {count_lines(latn):,} lines -> {latn}, {outcome}")
    workspace.remove_others("romanize", group.languages)
    workspace.gather_dropped(group.languages)
    workspace.gather_in_doubt(group.languages)


class Outcome(NamedTuple):
    """The records of the lines of a file that were not simply romanized."""

    failed: list[dict[str, Any]]  # without a romanization
    in_doubt: list[dict[str, Any]]  # rescued, or with fewer than half of the letters

    @classmethod
    def of(cls, records: list[dict[str, Any]]) -> "Outcome":
        """The records of `romanize_file`, told apart."""
        return cls(*([r for r in records if ("latn" in r) is there] for there in (False, True)))

    def counts(self) -> dict[str, int]:
        """How many lines of each kind."""
        rescued = sum(record["reason"].startswith(RESCUED) for record in self.in_doubt)
        return {"failed": len(self.failed), "rescued": rescued, "lossy": len(self.in_doubt) - rescued}

    def __str__(self) -> str:
        failed, rescued, lossy = self.counts().values()
        more = f", rescued {rescued}" * bool(rescued) + f", lost most letters of {lossy}" * bool(lossy)
        return f"the romanizer failed on {failed}{more}"


def _check_sample(lang: str, group: Group, workspace: Workspace) -> None:
    """Raise `UserError` where a language's sample was drawn here, with settings that the group has no more."""
    text, sample = workspace.text(lang), workspace.recorded(f"sample {lang}")
    if sample is None or workspace.digest(text) not in sample["files"].values():
        return
    for key, value in ({"excluded": None} | settings_of(group)).items():
        if sample["inputs"].get(key) != value:
            raise UserError(
                f"{text} was drawn with other settings ({key}: {sample['inputs'].get(key)}, now {value}): run "
                "`ppa-preprocess sample` first, or `all`"
            )
