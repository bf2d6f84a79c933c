"""The evaluation tasks, one entry each in `TASKS`: all in which a task differs from the others of its kind.

A new task of a kind that is there is a new entry and nothing else: flags, suites, tables and reports read them here.
Tasks of one kind share a table, in the order of their entries.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

# the sides of a pair that a model may read in evaluation; said here too, as those of training take numpy to import
INPUTS = ("orig", "latn")
_SPLIT = r"(?P<split>train|dev|test|valid|validation)"
KINDS = RETRIEVAL, CLASSIFICATION, TAGGING = "retrieval", "classification", "tagging"  # in the order of their tables


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune; the tasks' entries state what differs between them.

    `max_length` counts tokens with the special ones, `warmup` updates, `clip_norm` is of the gradient (None: as it is).
    The learning rate falls linearly to 0. `eval_steps` counts updates from one dev score to the next, with one after
    the last (None: after every epoch). A dev score that is no better than the best one, `patience` epochs before it or
    more, ends training (None: none does); epochs are counted there as their updates. `optim`, `leftover` and
    `precision` are one of `recipe_settings.CHOICES`.
    """

    learning_rate: float
    epochs: int
    max_length: int
    batch_size: int = 32
    accumulation: int = 1
    weight_decay: float = 0.0
    adam_eps: float = 1e-8
    clip_norm: float | None = None
    warmup: int = 0
    patience: int | None = None
    optim: str = "adamw_hf"
    leftover: str = "step"
    eval_steps: int | None = None
    precision: str = "fp32"


# How results were fine-tuned that do not name these settings: before there was another way.
UNNAMED = {"optim": "adamw_torch", "leftover": "step", "eval_steps": None}


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the Hugging Face hub: what users call it, where it is, its columns of text or words and of labels.

    datasets >= 4 runs no loading scripts: the paths are those of the Parquet versions, to which the short names of two
    of them no longer lead in every release of the client.
    """

    name: str
    path: str
    text: str
    labels: str


@dataclass(frozen=True)
class Task:
    """What every task has: its name in flags, files and results, and its title in the commands' help.

    `metrics` are what is measured, the main one first: it selects on the dev set and stands in the main tables.
    """

    name: str
    title: str
    kind: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    treebanks = False  # see TaggingTask


@dataclass(frozen=True)
class RetrievalTask(Task):
    """Bitexts with English: `{name}.LANG-eng_Latn.LANG` and `{name}.LANG-eng_Latn.eng_Latn`, or so with LASER's codes.

    `parallel`: line i is the same sentence in every language. Otherwise languages share sentences with English only.
    """

    parallel: bool = True
    kind = RETRIEVAL
    metrics = ("top10", "top5", "top1")


@dataclass(frozen=True)
class LabelledTask(Task):
    """A task that is fine-tuned. `labels` is the closed set of them; empty: what the training set of a source has.

    Files are `LANG/SPLIT` with one of `endings`, the first of which messages name, or match one of `patterns` whole, in
    which `code` is the language and `split` the split. A collection of tasks keeps them in one of `folders`, or in one
    of the task's name.
    """

    recipe: Recipe
    labels: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    hub: HubDataset | None = None
    endings: tuple[str, ...] = ("tsv",)
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassificationTask(LabelledTask):
    """Tables of id, label and text, also under Glot500's flat names, as `860_{language}_train.tsv`."""

    patterns: tuple[str, ...] = (rf"(?:\d+_)?(?P<code>.+?)_{_SPLIT}\.tsv",)
    kind = CLASSIFICATION
    metrics = ("macro_f1", "accuracy")


@dataclass(frozen=True)
class TaggingTask(LabelledTask):
    """Tagged words: entities in BIO where `labels` is empty, else one of the labels a word.

    `treebanks`: Universal Dependencies' words are prepared as Glot500 did, unless raw ones are asked for, and a
    configuration of the hub is a treebank.
    """

    treebanks: bool = False
    kind = TAGGING

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of entities, or the paper's number for POS and then those of words."""
        words = ("seqeval_f1", "token_accuracy", "token_macro_f1")
        return words if self.labels else ("span_micro_f1", "span_macro_f1")


# The recipes are those that the paper's evaluation was run with; clipping, optimizer, leftover batches and how often
# there is a dev score are in its code alone.
_TAGGING = Recipe(
    learning_rate=2e-5, epochs=10, accumulation=2, max_length=256, clip_norm=1.0, leftover="carry", eval_steps=500
)
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        RetrievalTask("bible", "Bible verses"),
        RetrievalTask("tatoeba", "Tatoeba", parallel=False),
        RetrievalTask("sib", "SIB-200 sentences"),
        ClassificationTask(
            "taxi1500",
            "Taxi1500",
            Recipe(learning_rate=1e-5, epochs=40, max_length=100),
            labels=("Description", "Faith", "Grace", "Recommendation", "Sin", "Violence"),
        ),
        ClassificationTask(
            "sib200",
            "SIB-200",
            Recipe(learning_rate=1e-5, epochs=40, max_length=160),
            labels=("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel"),
            hub=HubDataset("Davlan/sib200", "Davlan/sib200", "text", "category"),
        ),
        TaggingTask(
            "ner",
            "named entities",
            replace(_TAGGING, epochs=5, eval_steps=1000),
            folders=("ner", "panx"),
            hub=HubDataset("wikiann", "unimelb-nlp/wikiann", "tokens", "ner_tags"),
            endings=("tsv", "txt", "conll", "bio", "iob", "iob2", ""),
            patterns=(rf"{_SPLIT}-(?P<code>[^.]+)\.tsv", rf"(?P<code>[^.]+)-{_SPLIT}"),
        ),
        TaggingTask(
            "pos",
            "parts of speech",
            _TAGGING,
            labels=(
                *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT"),
                *("SCONJ", "SYM", "VERB", "X"),
            ),
            folders=("udpos", "pos"),
            hub=HubDataset("universal_dependencies", "universal-dependencies/universal_dependencies", "tokens", "upos"),
            endings=("conllu", "tsv", ""),
            patterns=(
                rf"{_SPLIT}-(?P<code>[^.]+)\.tsv",
                # repositories of UD keep large training sets in parts, as -ud-train-a.conllu
                rf"(?P<code>[a-z]+)_[a-z0-9]+-ud-{_SPLIT}(?:-[a-z0-9]+)*\.conllu",
            ),
            treebanks=True,
        ),
    )
}


def of_kind(kind: str) -> dict[str, Task]:
    """The tasks of a kind by name, in order."""
    return {name: task for name, task in TASKS.items() if task.kind == kind}


def titles(kind: str) -> str:
    """What the tasks of a kind are, for the help of their command."""
    return ", ".join(task.title for task in of_kind(kind).values())


def task_order(task: str) -> tuple[int, int, str]:
    """Where a task stands among others; tasks that are not known here, in files of another version, come last."""
    if task not in TASKS:
        return (len(KINDS), 0, task)
    return (KINDS.index(TASKS[task].kind), list(TASKS).index(task), task)


def metric_order(metric: str) -> tuple[int, str]:
    """Where a metric stands among others, those of a task as its entry has them; unknown ones come last."""
    names = list(dict.fromkeys(metric for task in TASKS.values() for metric in task.metrics))
    return (names.index(metric) if metric in names else len(names), metric)
