"""Text classification by zero-shot transfer: Taxi1500 and SIB-200."""

from collections.abc import Sequence

from ppa_plugin.evaluation.transfer import cross_lingual
from ppa_plugin.evaluation.transfer.finetune import Example
from ppa_plugin.evaluation.transfer.labelled import Split


class Classifier(cross_lingual.Form):
    """A sentence, cut to `max_length` tokens, is an example."""

    AUTO_CLASS = "AutoModelForSequenceClassification"
    metric = "macro_f1"

    def gold(self, split: Split) -> list[str]:
        """The class of each sentence."""
        return [sentence.label for sentence in split.sentences]

    def examples(self, split: Split) -> list[Example]:
        """Each sentence as one example."""
        texts = [sentence.text for sentence in split.sentences]
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
        number = {label: i for i, label in enumerate(self.labels)}
        return [
            Example(token_ids, number[sentence.label], i)
            for i, (token_ids, sentence) in enumerate(zip(ids, split.sentences, strict=True))
        ]

    def labels_of(self, examples: Sequence[Example], predicted: list[int]) -> list[str]:
        """The names of the predicted classes."""
        return [self.labels[i] for i in predicted]

    def scores(self, gold: list[str], predicted: list[str]) -> dict[str, float]:
        """Macro-F1 and accuracy, see `scores`."""
        return scores(gold, predicted)


def scores(gold: list[str], predicted: list[str]) -> dict[str, float]:
    """scikit-learn's macro-F1, over the classes that occur in either, and accuracy."""
    from sklearn.metrics import accuracy_score, f1_score  # takes a second

    return {
        "macro_f1": float(f1_score(gold, predicted, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(gold, predicted)),
    }
