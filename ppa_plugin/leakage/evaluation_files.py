"""Evaluation data on disk: which files hold sentences of which set and language, under every name that is in use."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ppa_plugin.codes import canonical
from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.files import check_file, reading
from ppa_plugin.leakage.sentences import sentences_of

UNDETERMINED = "und"  # ISO 639-3, of a file whose name says no language
_SPLIT = r"(?P<split>train|dev|test|valid|validation)"
_ENDING = r"(?:\.(?:tsv|txt|conll|conllu|bio|iob|iob2))?"
_BITEXT = re.compile(r"(?P<set>[^.]+)\.(?P<pair>[^.]+-[^.]+)\.(?P<code>[^.]+)")
_IN_A_LANGUAGE = re.compile(rf"{_SPLIT}{_ENDING}")
# names that say both language and split: Glot500's, XTREME's two, UD's
_FLAT = [
    re.compile(rf"(?:\d+_)?(?P<code>.+?)_{_SPLIT}\.tsv"),
    re.compile(rf"{_SPLIT}-(?P<code>[^.]+)\.tsv"),
    re.compile(rf"(?P<code>[^.]+)-{_SPLIT}"),
    re.compile(rf"(?P<code>[a-z]+)_[a-z0-9]+-ud-{_SPLIT}(?:-[a-z0-9]+)*\.conllu"),
]
_LOOKED_FOR = (
    "bible.LANG-eng_Latn.LANG, tatoeba.xxx-eng.xxx, LANG/train.tsv, LANG/test.conllu, LANG_test.tsv, test-LANG.tsv, "
    "xx_name-ud-test.conllu and LANG.txt"
)
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class EvaluationFile:
    """A file of sentences; `set` is the name of its set, with the split where it has several (`sib200/test`)."""

    path: Path
    set: str
    language: str

    def sentences(self) -> Iterator[str]:
        """Its sentences. Raises `UserError` where it cannot be read as what its name says."""
        yield from sentences_of(self.path)


def evaluation_files(path: Path) -> list[EvaluationFile]:
    """The evaluation files at `path`: those in a directory and its directories, or the one file.

    In a directory, files of other names are passed over, which a note on standard error says; a single file may have
    any. Raises `UserError` where there is nothing, and where a directory holds no file of a known name.
    """
    if not os.path.isdir(path):
        check_file(path)
        language = canonical(path.name.partition(".")[0]) or UNDETERMINED
        return [_understood(path, path) or EvaluationFile(path, path.name, language)]
    with reading(path, "a directory"):
        there = sorted(each for each in path.rglob("*") if not each.is_dir())
    found, passed_over = [], []
    for each in there:
        understood = _understood(each, path)
        if understood:
            check_file(each)
            found.append(understood)
        else:
            passed_over.append(str(each.relative_to(path)))
    if not found:
        raise UserError(
            f"{path} holds no evaluation file; looked for names such as {_LOOKED_FOR}, in it and its directories; "
            "a file of another name, of a sentence a line, can be named itself"
        )
    if passed_over:
        more = f" and {len(passed_over) - _NAMES_SHOWN} more" if len(passed_over) > _NAMES_SHOWN else ""
        names = f"{', '.join(passed_over[:_NAMES_SHOWN])}{more}"
        note_once(f"{path}: passed over {names}: not named as evaluation files are")
    return found


def _understood(path: Path, root: Path) -> EvaluationFile | None:
    """What a file is by its name and those of its directories, None where these do not say it."""
    folder, root = path.absolute().parent, root.absolute()
    if bitext := _BITEXT.fullmatch(path.name):
        # codes too may have a hyphen, as WikiANN's zh-min-nan
        sides = (bitext["pair"].removesuffix(f"-{bitext['code']}"), bitext["pair"].removeprefix(f"{bitext['code']}-"))
        language = canonical(bitext["code"])
        return EvaluationFile(path, bitext["set"], language) if language and set(sides) != {bitext["pair"]} else None
    if (split := _IN_A_LANGUAGE.fullmatch(path.name)) and (language := canonical(folder.name)):
        return EvaluationFile(path, f"{_set_name(folder.parent, root)}/{split['split']}", language)
    for flat in filter(None, (pattern.fullmatch(path.name) for pattern in _FLAT)):
        if language := canonical(flat["code"]):
            return EvaluationFile(path, f"{_set_name(folder, root)}/{flat['split']}", language)
    if path.suffix == ".txt" and (language := canonical(path.stem)):
        return EvaluationFile(path, _set_name(folder, root), language)
    return None


def _set_name(folder: Path, root: Path) -> str:
    """A folder's place below `root`; the name of one that is not below."""
    return folder.relative_to(root).as_posix() if root in folder.parents else folder.name
