"""What a kind of task does around the encoder: a head, examples, labels, figures."""

from collections.abc import Sequence
from typing import Any, ClassVar

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.encoder.loading import positions
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.evaluation.transfer.finetune import Example
from ppa_plugin.evaluation.transfer.labelled import Split


class TaskHead:
    """A head and what belongs to it: how a task's sentences become examples, its predictions labels, these figures."""

    AUTO_CLASS: ClassVar[str]  # of Transformers

    def __init__(self, task: str, labels: list[str], tokenizer, config, max_length: int):
        """Of a model's tokenizer and config. Raises `UserError` where either takes no `max_length` tokens."""
        self.task, self.labels, self.tokenizer = task, labels, tokenizer
        self.config, self.max_length = config, max_length
        taken = positions(config)
        if max_length > taken:
            raise UserError(f"--max-length {max_length} is more than the {taken} tokens that the model takes")
        if max_length > tokenizer.model_max_length:
            raise UserError(
                f"--max-length {max_length} is more than the {tokenizer.model_max_length} tokens that its tokenizer is "
                "set to (model_max_length in tokenizer_config.json)"
            )

    @property
    def metric(self) -> str:
        """The one of `scores` that selects on the dev set."""
        return TASKS[self.task].metrics[0]

    def gold(self, split: Split) -> list:
        """The labels of a split's sentences, each as `labels_of` gives them for predictions."""
        raise NotImplementedError

    def examples(self, split: Split) -> list[Example]:
        """A split's sentences as examples, whole or in parts."""
        raise NotImplementedError

    def labels_of(self, examples: Sequence[Example], predicted: list) -> list:
        """Labels of the sentences that the examples are, from predictions for the examples."""
        raise NotImplementedError

    def scores(self, gold: list, predicted: list) -> dict[str, float]:
        """Figures by metric, 0 to 1."""
        raise NotImplementedError

    def count(self, gold: list) -> int:
        """How many items the figures are over."""
        return len(gold)

    def remarks(self, split: Split) -> dict[str, Any]:
        """What the results on a split should say of it beside the recipe."""
        return split.reading
