"""Sequence tagging by zero-shot transfer: named entities and parts of speech."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.encoder.loading import ROBERTA
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.evaluation.transfer import classify
from ppa_plugin.evaluation.transfer.finetune import IGNORED, Example
from ppa_plugin.evaluation.transfer.labelled import Split
from ppa_plugin.evaluation.transfer.labelled_files import OUTSIDE
from ppa_plugin.evaluation.transfer.task_head import TaskHead


class Tagger(TaskHead):
    """A sentence is one example, or several where it is longer than `max_length` tokens: every word is scored.

    Each word is encoded on its own, as it would be in running text; its label stands at its first sub-word.
    """

    AUTO_CLASS = "AutoModelForTokenClassification"

    def gold(self, split: Split) -> list[list[str]]:
        """The tags of each sentence. What the head does not have is O; `TaggingSet.check` lets none pass unasked."""
        known = set(self.labels)
        return [[tag if tag in known else OUTSIDE for tag in sentence.tags] for sentence in split.sentences]

    def examples(self, split: Split) -> list[Example]:
        """Each sentence as one example or more, between which no word is divided."""
        number = {label: i for i, label in enumerate(self.labels)}
        pieces = self._pieces(split)
        examples = []
        for i, (sentence, tags) in enumerate(zip(split.sentences, self.gold(split), strict=True)):
            ids: list[int] = []
            labels: list[int] = []
            for place, (word, tag) in enumerate(zip(sentence.words, tags, strict=True)):
                word_ids = pieces[self._space + word if place and word else word]
                if len(ids) + len(word_ids) > self._room:
                    examples.append(self._example(ids, labels, i))
                    ids, labels = [], []
                ids += word_ids
                labels += [number[tag], *[IGNORED] * (len(word_ids) - 1)]
            examples.append(self._example(ids, labels, i))
        return examples

    @cached_property
    def _space(self) -> str:
        """What stands before a word that is not its sentence's first, for its first piece to be that of running text.

        Tokenizers as Gemma 2's have the space in the piece, and would take a word alone for the rest of another one.
        """
        alone, spaced, together = (
            [i for text in texts for i in self.tokenizer(text, add_special_tokens=False)["input_ids"]]
            for texts in (("a", "b"), ("a", " b"), ("a b",))
        )
        return " " if together != alone and together == spaced else ""

    def _pieces(self, split: Split) -> dict[str, list[int]]:
        """Ids by word, with `_space` and without. A word of no tokens, or of more than fit in one example, is <unk>."""
        words = {word for sentence in split.sentences for word in sentence.words}
        words = sorted(words | {self._space + word for word in words})
        ids = self.tokenizer(words, add_special_tokens=False)["input_ids"]
        unknown = [self.tokenizer.unk_token_id]
        return {w: list(i) if 0 < len(i) <= self._room else unknown for w, i in zip(words, ids, strict=True)}

    @cached_property
    def _frame(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a sentence."""
        plain = list(self.tokenizer("a", add_special_tokens=False)["input_ids"])
        framed = list(self.tokenizer("a")["input_ids"])
        start = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        before, after = framed[:start], framed[start + len(plain) :]
        # as the released code, from XTREME, which ends RoBERTa's sentences with </s></s>
        return before, after * 2 if self.config.model_type in ROBERTA else after

    @cached_property
    def _room(self) -> int:
        room = self.max_length - sum(map(len, self._frame))
        if room < 1:
            raise UserError(f"--max-length {self.max_length} leaves no room for a word")
        return room

    def _example(self, ids: list[int], labels: list[int], sentence: int) -> Example:
        before, after = self._frame
        framed = [*[IGNORED] * len(before), *labels, *[IGNORED] * len(after)]
        return Example([*before, *ids, *after], framed, sentence)

    def labels_of(self, examples: Sequence[Example], predicted: list[list[int]]) -> list[list[str]]:
        """The tag of each word, the parts of a sentence put together again."""
        sentences: dict[int, list[str]] = {}
        for example, tags in zip(examples, predicted, strict=True):
            first = [tag for tag, label in zip(tags, example.labels, strict=True) if label != IGNORED]
            sentences.setdefault(example.sentence, []).extend(self.labels[tag] for tag in first)
        return list(sentences.values())

    def scores(self, gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
        """The task's figures: `pos_scores` where its tags are a closed set, else `ner_scores`."""
        return (pos_scores if TASKS[self.task].labels else ner_scores)(gold, predicted)

    def count(self, gold: list[list[str]]) -> int:
        """How many words."""
        return sum(map(len, gold))

    def remarks(self, split: Split) -> dict[str, Any]:
        """How the words were read, and how many have a tag that was taken for O, where there are any."""
        known = set(self.labels)
        outside = sum(tag not in known for sentence in split.sentences for tag in sentence.tags)
        return split.reading | ({"words_taken_for_outside": outside} if outside else {})


def ner_scores(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    """seqeval's F1 over entities: micro, its default and the paper's number, and macro over the types."""
    from seqeval.metrics import f1_score

    if not any(tag != OUTSIDE for sentences in (gold, predicted) for tags in sentences for tag in tags):
        return {"span_micro_f1": 0.0, "span_macro_f1": 0.0}  # seqeval's macro of no type is not a number
    return {
        "span_micro_f1": float(f1_score(gold, predicted, zero_division=0)),
        "span_macro_f1": float(f1_score(gold, predicted, average="macro", zero_division=0)),
    }


def pos_scores(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    """The paper's number, seqeval's F1 on plain UPOS tags, then accuracy and macro-F1 over words (scikit-learn).

    seqeval takes a tag's first letter for its BIO prefix and joins equal neighbours: no measure of tagging, but what
    the published figures are.
    """
    from seqeval.metrics import f1_score

    with warnings.catch_warnings():
        # "NOUN seems not to be NE tag." is true, of every tag, and meant
        warnings.filterwarnings("ignore", message=".* seems not to be NE tag", category=UserWarning)
        seqeval_f1 = float(f1_score(gold, predicted, zero_division=0))
    gold_tags, predicted_tags = ([tag for tags in sentences for tag in tags] for sentences in (gold, predicted))
    of_words = classify.scores(gold_tags, predicted_tags)
    return {"seqeval_f1": seqeval_f1, "token_accuracy": of_words["accuracy"], "token_macro_f1": of_words["macro_f1"]}
