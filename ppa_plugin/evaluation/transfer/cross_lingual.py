"""Zero-shot transfer, one cell: fine-tune on one source with one seed, test on every target."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import torch

from ppa_plugin.commandline import UserError, say
from ppa_plugin.evaluation.encoder.loading import available_device, check_ids, load_tokenizer, positions
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.transfer.finetune import (
    Best,
    Example,
    Recipe,
    drawn_from,
    fine_tune,
    load_with_head,
    predict,
    save,
)
from ppa_plugin.evaluation.transfer.labelled import LabelledSet, Split


class Form:
    """How a task's sentences become examples, its predictions labels, and these figures."""

    AUTO_CLASS: ClassVar[str]
    metric: str  # the one of `scores` that selects on the dev set

    def __init__(self, task: str, labels: list[str], tokenizer, config, max_length: int):
        """Of a model's tokenizer and config. Raises `UserError` where either takes no `max_length` tokens."""
        self.task, self.labels, self.tokenizer, self.config, self.max_length = (
            task,
            labels,
            tokenizer,
            config,
            max_length,
        )
        taken = positions(config)
        if max_length > taken:
            raise UserError(f"--max-length {max_length} is more than the {taken} tokens that the model takes")
        if max_length > tokenizer.model_max_length:
            raise UserError(
                f"--max-length {max_length} is more than the {tokenizer.model_max_length} tokens that its tokenizer is "
                "set to (model_max_length in tokenizer_config.json)"
            )

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
        return {}


def measure(
    form_class: type[Form],
    directory: Path,
    model: Model,
    task: str,
    data: LabelledSet,
    source: str,
    targets: list[str],
    seed: int,
    recipe: Recipe,
    device: str,
    save_to: Path | None = None,
) -> list[Result]:
    """Fine-tune on `source`, keep the epoch that is best on its dev set, test on `targets`; a result a metric.

    Raises `UserError` for data or a model that does not fit.
    """
    data.check([source], targets)
    if save_to is not None and save_to.exists():
        raise UserError(f"{save_to} exists; pass another --save")
    place = available_device(device)
    precision = recipe.on(place)
    tokenizer = load_tokenizer(directory)
    with drawn_from(seed, place):
        network = load_with_head(directory, form_class.AUTO_CLASS, data.labels(source)).to(place)
        check_ids(tokenizer, network.get_input_embeddings().num_embeddings, directory)
        form = form_class(task, data.labels(source), tokenizer, network.config, recipe.max_length)
        cell = f"{model.name} {task} {source} seed {seed}"
        best = _train(network, form, data, source, seed, recipe, precision, cell)
        if save_to is not None:
            save(network, directory, save_to)
        tested = _test(network, form, [data.split(target, "test") for target in targets], precision)
    facts = _facts(recipe, precision, best, place)
    results = []
    for target, (gold, predicted) in zip(targets, tested, strict=True):
        for metric, value in form.scores(gold, predicted).items():
            results.append(
                Result(
                    model=model.name,
                    model_path=model.path,
                    model_sha256=model.sha256,
                    task=task,
                    source=source,
                    target=target,
                    seed=seed,
                    metric=metric,
                    value=value,
                    n=form.count(gold),
                    layer=None,
                    pool=None,
                    data_sha256=data.data_sha256(source, target),
                    config=facts | form.remarks(data.split(target, "test")),
                    version=version("translit-ppa"),
                )
            )
    return results


def _train(
    network, form: Form, data: LabelledSet, source: str, seed: int, recipe: Recipe, precision: str, cell: str
) -> Best:
    dev = data.split(source, "dev")
    dev_examples, dev_gold = form.examples(dev), form.gold(dev)
    pad_id = form.tokenizer.pad_token_id

    def dev_score() -> float:
        predicted = predict(network, dev_examples, pad_id, precision)
        return form.scores(dev_gold, form.labels_of(dev_examples, predicted))[form.metric]

    def say_epoch(epoch: int, loss: float, score: float, best: bool) -> None:
        mark = " (best)" if best else ""
        say(f"{cell}: epoch {epoch} of {recipe.epochs}, loss {loss:.4f}, dev {form.metric} {100 * score:.1f}{mark}")

    return fine_tune(network, form.examples(data.split(source, "train")), recipe, seed, pad_id, dev_score, say_epoch)


def _test(network, form: Form, splits: list[Split], precision: str) -> list[tuple[list, list]]:
    """Gold and predicted labels of each split, from one pass over the sentences of all."""
    parts = [form.examples(split) for split in splits]
    predicted = iter(predict(network, [e for part in parts for e in part], form.tokenizer.pad_token_id, precision))
    labels = [form.labels_of(part, [next(predicted) for _ in part]) for part in parts]
    return list(zip([form.gold(split) for split in splits], labels, strict=True))


def _facts(recipe: Recipe, precision: str, best: Best, device: torch.device) -> dict[str, Any]:
    return {
        **asdict(recipe),
        "precision": precision,
        "best_epoch": best.epoch,
        "epochs_run": best.epochs_run,
        "dev_score": best.score,
        "device": device.type,
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }
