"""Step 2: the Latin side, one line for one line and romanizer, in parallel processes."""

import itertools
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from ppa_preprocess.group import Group
from ppa_preprocess.sample import settings_of
from ppa_preprocess.workspace import Workspace

from ppa_plugin.commandline import UserError
from ppa_plugin.files import count_lines, read_lines, write_beside, write_json_lines
from ppa_plugin.parallel import Workers
from ppa_plugin.romanization.by_part import RESCUED, Romanization
from ppa_plugin.romanization.text_file import romanize_file

# above this share of letters that are not Latin, among those of so many lines, a romanizer is named
_MANY_LETTERS = 0.2
_SOME_LINES = 1000


def run(group: Group, workspace: Workspace, workers: Workers, cache: Path | None = None) -> None:
    """Write `pairs/<lang>.{orig,latn}` for every language; raises `UserError` where `text/<lang>.txt` is missing.

    With several romanizers the lines of the text, n in number, stand there once for each: line i of the r-th (from 0)
    is line r n + i. With `alignment`, also `pairs/<lang>.edges`: which characters became which, line for line
    (`romanization.edges`). `cache` is the file of a romanizer cache to share with other outputs; None for the
    workspace's own.
    """
    for lang, options in group.languages.items():
        text = workspace.text(lang)
        if not text.is_file():
            raise UserError(f"{text} is missing: run `ppa-preprocess sample` first, or `all`")
        _check_sample(lang, group, workspace)
        place = cache or workspace.romanizer_cache
        settings = [
            Romanization(
                choice.name, options.uroman, choice.normalize_punctuation, place, choice.rescue, group.alignment
            )
            for choice in group.romanizers_of(lang)
        ]
        inputs = {"text": workspace.digest(text), **_as_inputs(settings)}
        if workspace.is_done(f"romanize {lang}", inputs):
            workspace.say(f"romanize  {lang}  unchanged")
        else:
            _romanize(lang, settings, inputs, workspace, workers)
        for warning in script_warnings(lang, workspace.recorded(f"romanize {lang}")):
            workspace.say(f"warning   {warning}")
    workspace.remove_others("romanize", group.languages)
    workspace.gather_dropped(group.languages)
    workspace.gather_in_doubt(group.languages)


def _romanize(
    lang: str, settings: list[Romanization], inputs: dict[str, Any], workspace: Workspace, workers: Workers
) -> None:
    text, (orig, latn), edges = workspace.text(lang), workspace.pair(lang), workspace.edges(lang)
    edges.unlink(missing_ok=True)
    # Without its Latin side a pair is not encoded: a run killed between the two files leaves nothing shifted.
    latn.unlink(missing_ok=True)
    workspace.forget([f"romanize {lang}", f"encode {lang}"])
    _copy(text, orig, len(settings))
    outcome = Outcome.of(romanize_file(text, latn, settings, workers, lang, edges))
    records = [workspace.dropped_by("romanize", lang), workspace.in_doubt(lang)]
    for path, lines in zip(records, (outcome.failed, outcome.in_doubt), strict=True):
        write_json_lines(path, lines)
    names = [each.name for each in settings]
    counts = outcome.counts()
    if len(names) > 1:
        counts["romanizers"] = [outcome.by(name).counts() for name in names]
    if left := _left_in_their_script(latn, names):
        counts["left"] = left
    files = [orig, latn, *records, *([edges] if settings[0].edges else [])]
    workspace.record(f"romanize {lang}", inputs, files, counts)
    by = f" by {' and '.join(names)}" * (len(names) > 1)
    workspace.say(f"romanize  {lang}  {count_lines(latn):,} lines{by} -> {latn}, {outcome}")


def script_warnings(lang: str, record: dict[str, Any]) -> list[str]:
    """A sentence for each romanizer that hardly knows the script of a language, from the record of the step."""
    return [
        f"{share:.0%} of the letters that {name} wrote for {lang} are not Latin: it does not know this script, name "
        "another romanizer for the language"
        for name, share in record["counts"].get("left", {}).items()
    ]


def _left_in_their_script(latn: Path, names: list[str]) -> dict[str, float]:
    """The romanizers of whose first lines many letters are not Latin, and the share of these."""
    lines = count_lines(latn) // len(names)
    left = {}
    for number, name in enumerate(names):
        some = itertools.islice(read_lines(latn), number * lines, number * lines + min(lines, _SOME_LINES))
        letters = Counter(_is_latin(letter) for line in some for letter in line if letter.isalpha())
        share = letters[False] / max(1, letters.total())
        if share > _MANY_LETTERS:
            left[name] = round(share, 2)
    return left


def _is_latin(letter: str) -> bool:
    return letter < "\u0300" or "\u1e00" <= letter <= "\u1eff"


def made_with(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the record of a language that was romanized: `Romanization.made_with` and counts, for each romanizer."""
    if several := record["inputs"].get("romanizers"):
        return [inputs | counts for inputs, counts in zip(several, record["counts"]["romanizers"], strict=True)]
    return [record["inputs"] | record["counts"]]


def _as_inputs(settings: list[Romanization]) -> dict[str, Any]:
    """All that the romanizations depend on, beside the text; of one romanizer in the form that it always had."""
    each = [romanization.made_with() for romanization in settings]
    return {"romanizers": each} if len(each) > 1 else each[0]


def _copy(text: Path, orig: Path, times: int) -> None:
    """Write a text so many times, one after the other; once, byte for byte."""
    if times == 1:
        with open(text, "rb") as source, write_beside(orig, "wb") as copy:
            shutil.copyfileobj(source, copy)
        return
    with write_beside(orig) as copy:
        for _ in range(times):
            copy.writelines(f"{line}\n" for line in read_lines(text))


class Outcome(NamedTuple):
    """The records of the lines of a file that were not simply romanized."""

    failed: list[dict[str, Any]]  # without a romanization
    in_doubt: list[dict[str, Any]]  # rescued, or with fewer than half of the letters

    @classmethod
    def of(cls, records: list[dict[str, Any]]) -> "Outcome":
        """The records of `romanize_file`, told apart."""
        return cls(*([r for r in records if ("latn" in r) is there] for there in (False, True)))

    def by(self, romanizer: str) -> "Outcome":
        """Those of one romanizer of several."""
        return Outcome(*([record for record in records if record["romanizer"] == romanizer] for records in self))

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
