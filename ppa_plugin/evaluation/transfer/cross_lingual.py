"""Zero-shot transfer, one cell: fine-tune on one source with one seed, test on every target."""

from dataclasses import asdict
from pathlib import Path

from ppa_plugin.commandline import UserError, say
from ppa_plugin.evaluation.encoder.loading import available_device, check_ids, environment, load_tokenizer
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.tasks import CLASSIFICATION, TAGGING, Recipe
from ppa_plugin.evaluation.transfer import finetune
from ppa_plugin.evaluation.transfer.classify import Classifier
from ppa_plugin.evaluation.transfer.labelled import LabelledSet, Split
from ppa_plugin.evaluation.transfer.tag import Tagger
from ppa_plugin.evaluation.transfer.task_head import TaskHead

HEADS: dict[str, type[TaskHead]] = {CLASSIFICATION: Classifier, TAGGING: Tagger}


def measure(
    directory: Path,
    model: Model,
    data: LabelledSet,
    source: str,
    targets: list[str],
    seed: int,
    recipe: Recipe,
    device: str,
    save_to: Path | None = None,
) -> list[Result]:
    """Fine-tune on `source`, keep what is best on its dev set, test on `targets`; a result a metric.

    Raises `UserError` for data or a model that does not fit.
    """
    task, head_class = data.task, HEADS[data.entry.kind]
    data.check([source], targets)
    if save_to is not None and save_to.exists():
        raise UserError(f"{save_to} exists; pass another --save")
    place = available_device(device)
    precision = finetune.precision_on(recipe, place)
    tokenizer = load_tokenizer(directory)
    with finetune.drawn_from(seed, place):
        network = finetune.load_with_head(directory, head_class.AUTO_CLASS, data.labels(source)).to(place)
        check_ids(tokenizer, network.get_input_embeddings().num_embeddings, directory)
        head = head_class(task, data.labels(source), tokenizer, network.config, recipe.max_length)
        cell = f"{model.name} {task} {source} seed {seed}"
        best = _train(network, head, data, source, seed, recipe, precision, cell)
        if save_to is not None:
            finetune.save(network, directory, save_to)
        tested = _test(network, head, [data.split(target, "test") for target in targets], precision)
    facts = asdict(recipe) | {"precision": precision, "best_epoch": best.epoch, "best_step": best.step}
    facts |= {"epochs_run": best.epochs_run, "dev_score": best.score, **environment(place)}
    results = []
    for target, (gold, predicted) in zip(targets, tested, strict=True):
        of_target = {"task": task, "source": source, "target": target, "data_sha256": data.data_sha256(source, target)}
        of_target |= {"seed": seed, "n": head.count(gold), "layer": None, "pool": None}
        config = facts | head.remarks(data.split(target, "test"))
        results += [
            model.result(**of_target, metric=metric, value=value, config=dict(config))
            for metric, value in head.scores(gold, predicted).items()
        ]
    return results


def _train(
    network, head: TaskHead, data: LabelledSet, source: str, seed: int, recipe: Recipe, precision: str, cell: str
) -> finetune.Best:
    dev = data.split(source, "dev")
    dev_examples, dev_gold = head.examples(dev), head.gold(dev)
    pad_id = head.tokenizer.pad_token_id

    def dev_score() -> float:
        predicted = finetune.predict(network, dev_examples, pad_id, precision)
        return head.scores(dev_gold, head.labels_of(dev_examples, predicted))[head.metric]

    def say_score(epoch: int, loss: float, score: float, best: bool, step: int) -> None:
        place = f"epoch {epoch} of {recipe.epochs}" + (f", update {step}" if recipe.eval_steps else "")
        mark = " (best)" if best else ""
        say(f"{cell}: {place}, loss {loss:.4f}, dev {head.metric} {100 * score:.1f}{mark}")

    return finetune.fine_tune(
        network, head.examples(data.split(source, "train")), recipe, seed, pad_id, dev_score, say_score
    )


def _test(network, head: TaskHead, splits: list[Split], precision: str) -> list[tuple[list, list]]:
    """Gold and predicted labels of each split, from one pass over the sentences of all."""
    parts = [head.examples(split) for split in splits]
    predicted = iter(
        finetune.predict(network, [e for part in parts for e in part], head.tokenizer.pad_token_id, precision)
    )
    labels = [head.labels_of(part, [next(predicted) for _ in part]) for part in parts]
    return list(zip([head.gold(split) for split in splits], labels, strict=True))
