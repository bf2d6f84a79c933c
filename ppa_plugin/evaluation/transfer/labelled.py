"""The labelled sets of the classification and tagging tasks: which languages they have, and whether labels agree."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppa_plugin.codes import canonical, default_targets, passed_over
from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.evaluation.tasks import CLASSIFICATION, TAGGING, TASKS
from ppa_plugin.evaluation.transfer import labelled_files
from ppa_plugin.evaluation.transfer.labelled_files import OUTSIDE, Labelled
from ppa_plugin.evaluation.transfer.labelled_hub import PREFIX, HubFiles
from ppa_plugin.evaluation.typed_text import remark
from ppa_plugin.files import read_bytes
from ppa_plugin.romanization.by_language import Romanizers

SPLITS = ("train", "dev", "test")
UNKNOWN_LABELS = ("error", "outside")
_SYNONYMS = {"valid": "dev", "validation": "dev"}


@dataclass(frozen=True)
class Split:
    """One language's training, development or test set.

    `places` says, for each label, where it stands first (`FILE, line N`); `content` is the bytes of the files;
    `reading` is what results on it should say of how it was read.
    """

    language: str
    name: str
    where: str
    sentences: Sequence = field(repr=False)
    places: dict[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    reading: dict[str, Any] = field(default_factory=dict)


class LabelledSet:
    """The sets of one task in a directory, or, as `hf:NAME`, of a dataset of the Hugging Face hub.

    Found are files under the names that the task's entry has (`tasks.LabelledTask`), in the directory or in the task's
    folder in it. Languages go by Glot500's codes; what is named as no language is passed over, which a note on standard
    error says.
    """

    raw_words = False  # see TaggingSet

    def __init__(self, directory: str | Path, task: str, romanizers: Romanizers | None = None):
        """Find the files. Raises `UserError` for none, two of one set, or a romanizer of a language without.

        With `romanizers` every text is romanized, in tagging every word.
        """
        self.directory, self.task, self.entry, self.romanizers = str(directory), task, TASKS[task], romanizers
        self._splits: dict[tuple[str, str], Split] = {}
        self._paths: dict[tuple[str, str], list[Path]] = {}
        self._passed_over: list[str] = []
        self._hub = HubFiles(self.directory, task) if self.directory.startswith(PREFIX) else None
        if self._hub is None:
            self._find(Path(directory))
        if romanizers:
            romanizers.check_named(self.languages, self.directory)

    def _find(self, directory: Path) -> None:
        if not directory.is_dir():
            raise UserError(f"{directory} is not a directory")
        folders = [directory / name for name in self.entry.folders or [self.task]]
        root = next((folder for folder in folders if folder.is_dir()), directory)
        patterns = [re.compile(pattern) for pattern in self.entry.patterns]
        for path in sorted([*root.glob("*"), *root.glob("*/*")]):
            if path.is_dir():  # what is no file either is found by its name, and said when it is read
                continue
            stem, _, ending = path.name.partition(".")
            split = _SYNONYMS.get(stem, stem)
            if path.parent != root and split in SPLITS and ending in self.entry.endings:
                self._add(path, path.parent.name, split)
            for match in filter(None, (pattern.fullmatch(path.name) for pattern in patterns)):
                self._add(path, match["code"], _SYNONYMS.get(match["split"], match["split"]))
        passed = passed_over(self._passed_over)
        if not self._paths:
            because = f"; {passed}" if passed else ""
            example = self._example("eng_Latn", "train")
            raise UserError(f"{directory} holds no {self.task} files such as {example}{because}")
        if passed:
            note_once(f"{directory}: {passed}")

    def _add(self, path: Path, code: str, split: str) -> None:
        language = canonical(code)
        if language is None:
            self._passed_over.append(code)
            return
        paths = self._paths.setdefault((language, split), [])
        # the treebanks of a language stand side by side under UD's names; XTREME joins them too
        if paths and not all("-ud-" in other.name for other in (*paths, path)):
            raise UserError(f"{paths[0]} and {path} are both {language}'s {split} set; keep one of them")
        paths.append(path)

    def _example(self, language: str, split: str) -> str:
        return f"{language}/{split}.{self.entry.endings[0]}"

    @property
    def languages(self) -> list[str]:
        """Every language found, sorted."""
        return self._hub.languages if self._hub else sorted({language for language, _ in self._paths})

    def targets(self, source: str) -> list[str]:
        """The `default_targets` of those with a test set, of which `source` may be one.

        Raises `UserError` where they are the hub's, of which none is a default.
        """
        if self._hub:
            raise UserError(f"--targets is needed with --data {self.directory}: it has {len(self.languages)} languages")
        return default_targets(self._having("test"))

    def _having(self, split: str) -> list[str]:
        return sorted(language for language, name in self._paths if name == split)

    def split(self, language: str, name: str) -> Split:
        """A language's `train`, `dev` or `test` set. Raises `UserError` where it is missing, empty or malformed."""
        if (language, name) not in self._splits:
            split = self._hub.read(language, name) if self._hub else None
            where, sentences, places, content = split or self._read(language, name)
            if self.entry.treebanks and not self.raw_words:
                sentences = labelled_files.as_published(sentences)
            reading = ({"raw_words": self.raw_words} if self.entry.treebanks else {}) | remark(self.romanizers)
            if self.romanizers:
                sentences = labelled_files.romanized(sentences, where, self.romanizers.of(language))
            self._splits[language, name] = Split(language, name, where, sentences, places, content, reading)
        return self._splits[language, name]

    def _read(self, language: str, name: str) -> tuple:
        paths = self._paths.get((language, name))
        if not paths:
            found = "; ".join(filter(None, (", ".join(self._having(name)) or "none", passed_over(self._passed_over))))
            raise UserError(
                f"{self.directory} has no {self.task} {name} file for {language} "
                f"({self._example(language, name)}); there is one for: {found}"
            )
        sentences, places, without_words = [], {}, 0
        for path in paths:
            read = self._read_file(path)
            if not read.sentences and not read.without_words:
                raise UserError(f"{path} is empty")
            sentences += read.sentences
            without_words += read.without_words
            places = read.places | places
        where = ", ".join(map(str, paths))
        labelled_files.say_without_words(where, without_words, len(sentences))
        return where, sentences, places, b"".join(map(read_bytes, paths))

    def _read_file(self, path: Path) -> Labelled:
        raise NotImplementedError

    def labels(self, source: str) -> list[str]:
        """The labels that a model trained on `source` gives, in the order of its outputs."""
        raise NotImplementedError

    def check(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Read what is needed to train on `sources` and test on `targets`.

        Raises `UserError` where a set is missing, empty or malformed or has a label that the source cannot teach.
        """
        for source in sources:
            labels = self.labels(source)
            for split in (self.split(source, "train"), self.split(source, "dev")):
                self._check_labels(split, labels, source)
            for target in targets:
                self._check_labels(self.split(target, "test"), labels, source)

    def _check_labels(self, split: Split, labels: list[str], source: str) -> None:
        for label, place in split.places.items():
            if label not in labels:
                raise UserError(f"{place}: {label!r} is none of the labels of {self.task} ({', '.join(labels)})")

    def data_sha256(self, source: str, target: str) -> str:
        """SHA-256 of the bytes of the source's training and dev sets and the target's test set, in that order."""
        parts = (self.split(source, "train"), self.split(source, "dev"), self.split(target, "test"))
        return hashlib.sha256(b"".join(split.content for split in parts)).hexdigest()


class ClassificationSet(LabelledSet):
    """A class a sentence: Taxi1500, SIB-200."""

    def _read_file(self, path: Path) -> Labelled:
        return labelled_files.read_classes(path)

    def labels(self, source: str) -> list[str]:
        """The task's classes, else those of the training set. Raises `UserError` where that lacks one of the task's.

        The head has an output for each: trained on fewer, its macro-F1 would not compare with others.
        """
        train = self.split(source, "train")
        classes = self.entry.labels or sorted(train.places)
        missing = [label for label in classes if label not in train.places]
        if missing:
            raise UserError(
                f"{train.where} has {len(classes) - len(missing)} of the {len(classes)} labels of {self.task}; "
                f"missing: {', '.join(missing)}"
            )
        return list(classes)


class TaggingSet(LabelledSet):
    """NER as BIO files and POS as CoNLL-U or tab-separated files, under plain, XTREME's and UD's names.

    `unknown_labels` says what becomes of an entity tag that the source's training set does not have: `error`, or
    `outside` for O. Universal part-of-speech tags are a closed set, which the head has whole. `raw_words` leaves UD's
    words as they are in the files, in place of what Glot500's preparation makes of them (`as_published`).
    """

    def __init__(
        self,
        directory: str | Path,
        task: str,
        unknown_labels: str = "error",
        raw_words: bool = False,
        romanizers: Romanizers | None = None,
    ):
        """Find the files. Raises `UserError` as of every set."""
        super().__init__(directory, task, romanizers)
        self.unknown_labels, self.raw_words = unknown_labels, raw_words

    def _read_file(self, path: Path) -> Labelled:
        return labelled_files.read_tags(path, self.task)

    def labels(self, source: str) -> list[str]:
        """The task's labels, or O and the entity tags of the source's training set; `UserError` where it has none."""
        if self.entry.labels:
            return list(self.entry.labels)
        train = self.split(source, "train")
        tags = sorted(tag for tag in train.places if tag != OUTSIDE)
        if not tags:
            raise UserError(f"{train.where} has no entity: every tag is {OUTSIDE}")
        return [OUTSIDE, *tags]

    def _check_labels(self, split: Split, labels: list[str], source: str) -> None:
        if self.entry.labels:
            super()._check_labels(split, labels, source)
        for label, place in split.places.items():
            if label not in labels and self.unknown_labels == "error":
                raise UserError(
                    f"{place}: {label!r} is not in the training set of {source} ({', '.join(labels)}); "
                    "name other --targets, or pass --unknown-labels outside to take it for O"
                )

    def outside(self, split: Split, labels: list[str]) -> Counter[str]:
        """How many words of a set have which tag that is not in `labels`, and so count as O."""
        tags = Counter(tag for sentence in split.sentences for tag in sentence.tags)
        return Counter({tag: count for tag, count in tags.items() if tag not in labels})


SETS: dict[str, type[LabelledSet]] = {CLASSIFICATION: ClassificationSet, TAGGING: TaggingSet}
