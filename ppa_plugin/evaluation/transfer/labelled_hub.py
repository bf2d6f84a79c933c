"""Labelled sets of the Hugging Face hub, as the readers of files give them: `hf:Davlan/sib200`, `hf:wikiann`, ..."""

from ppa_plugin.codes import canonical, passed_over
from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.evaluation.transfer.labelled_files import Labelled, Sentence, check_tag, say_without_words
from ppa_plugin.files import naming_errors

PREFIX = "hf:"
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_LONGEST_REASON = 200  # characters


class HubFiles:
    """A configuration for each language (SIB-200, WikiAnn) or treebank (UD, whose treebanks of a language are joined).

    `NAME@REVISION` asks for one revision.
    """

    def __init__(self, name: str, task: str):
        """Ask the hub for the configurations. Raises `UserError` where the dataset is none of the task's."""
        self._name = name
        path, _, revision = name.removeprefix(PREFIX).partition("@")
        self._revision = revision or None
        self._task, self._dataset = task, TASKS[task].hub
        names = list(dict.fromkeys((self._dataset.name, self._dataset.path))) if self._dataset else []
        if path not in names:
            fitting = ", ".join(f"{PREFIX}{known}" for known in names)
            raise UserError(f"--data {name} is not a dataset of {task} that is known here; known: {fitting or 'none'}")
        try:
            import datasets
        except ImportError:
            raise UserError(f"--data {name} takes the package datasets: pip install 'translit-ppa[sources]'") from None
        self._library = datasets
        self._configurations: dict[str, list[str]] = {}
        self._passed_over: list[str] = []
        with naming_errors(name, _LONGEST_REASON):
            names = self._library.get_dataset_config_names(self._dataset.path, revision=self._revision)
        for configuration in sorted(names):
            language = canonical(configuration.partition("_")[0] if TASKS[task].treebanks else configuration)
            if language is None:
                self._passed_over.append(configuration)
            else:
                self._configurations.setdefault(language, []).append(configuration)

    @property
    def languages(self) -> list[str]:
        """Every language with a configuration, sorted."""
        return sorted(self._configurations)

    def read(self, language: str, split: str) -> tuple:
        """Where it is, sentences, places of labels and, as bytes, what a plain file of them would hold."""
        if language not in self._configurations:
            passed = passed_over(self._passed_over)
            raise UserError(
                f"{self._name} has no {self._task} text in {language}; there is some in: "
                + "; ".join(filter(None, (", ".join(self.languages), passed)))
            )
        found = Labelled()
        for configuration in self._configurations[language]:
            where = f"{self._name} {configuration}"
            with naming_errors(where, _LONGEST_REASON):
                rows = self._load(configuration, _SPLITS[split])
            for number, row in enumerate(rows, 1):
                self._add(found, row, f"{where}, {_SPLITS[split]}, row {number}")
        if not found.sentences and not found.without_words:
            raise UserError(f"{self._name} has no {split} split for {language}")
        names = " ".join(self._configurations[language])
        say_without_words(f"{self._name} {names}, {_SPLITS[split]}", found.without_words, len(found.sentences))
        return self._name, found.sentences, found.places, _content(found.sentences)

    def _load(self, configuration: str, split: str) -> list[tuple]:
        """The rows as (text or words, label names). Empty where the configuration lacks the split."""
        known, revision = self._dataset, self._revision
        if split not in self._library.get_dataset_split_names(known.path, configuration, revision=revision):
            return []
        data = self._library.load_dataset(known.path, configuration, split=split, revision=revision)
        feature = data.features[known.labels]
        names = getattr(getattr(feature, "feature", feature), "names", None)
        texts, labels = data[known.text], data[known.labels]
        return [(text, _named(label, names)) for text, label in zip(texts, labels, strict=True)]

    def _add(self, found: Labelled, row: tuple, where: str) -> None:
        text, labels = row
        if isinstance(text, str):
            found.add_class(text, labels, where)
            return
        # a contraction stands before its words, tagged "_": it is what CoNLL-U numbers 1-2
        rows = [(where, word, tag) for word, tag in zip(text, labels, strict=True) if tag != "_"]
        for _, _, tag in rows:
            check_tag(tag, self._task, where)
        found.add_tags(rows, self._task)


def _named(label, names: list[str] | None):
    """Names of numbered labels; labels that are names already stay."""
    if isinstance(label, str) or names is None:
        return label
    return names[label] if isinstance(label, int) else [names[i] if isinstance(i, int) else i for i in label]


def _content(sentences: list) -> bytes:
    if isinstance(sentences[0], Sentence):
        lines = [f"{sentence.label}\t{sentence.text}\n" for sentence in sentences]
    else:
        lines = ["".join(f"{w}\t{t}\n" for w, t in zip(s.words, s.tags, strict=True)) + "\n" for s in sentences]
    return "".join(lines).encode("utf-8", "surrogatepass")
