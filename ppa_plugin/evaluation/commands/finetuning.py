"""What `ppa-evaluate classify` and `ppa-evaluate tag` share: the recipe's flags, and running every source and seed."""

import argparse
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ppa_plugin.commandline import UserError, natural, positive
from ppa_plugin.evaluation import transfer
from ppa_plugin.evaluation.batches import PRECISIONS
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.finetune import Recipe
from ppa_plugin.evaluation.labelled import LabelledSet
from ppa_plugin.evaluation.transfer import Form

DEFAULT_SEEDS = "42,43,44,45,46"


def add_flags(parser: argparse.ArgumentParser, recipes: dict[str, Recipe]) -> None:
    """Model, data, output and every field of a recipe, with the defaults of the tasks in `recipes`."""
    flags.add_model_flags(parser)
    flags.add_data_flags(
        parser,
        tuple(recipes),
        "languages to train on, one after another",
        "languages to test on (default: every language with a test file, the source included)",
    )
    parser.add_argument(
        "--seeds", type=seeds, default=DEFAULT_SEEDS, metavar="N,...", help="one training each (default: %(default)s)"
    )
    for name, (kind, words) in _RECIPE_FLAGS.items():
        options = {"choices": PRECISIONS} if name == "precision" else {"type": kind, "metavar": "N"}
        default = _defaults(name, recipes)
        parser.add_argument(f"--{name.replace('_', '-')}", help=f"{words} (default: {default})", **options)
    parser.add_argument(
        "--save", metavar="DIR", type=Path, help="write each best checkpoint to DIR/TASK_SOURCE_SEED (default: none)"
    )
    flags.add_output_flag(parser)


def recipe(args: argparse.Namespace, recipes: dict[str, Recipe]) -> Recipe:
    """The task's recipe with what the flags change."""
    given = {name: getattr(args, name) for name in _RECIPE_FLAGS if getattr(args, name) is not None}
    if given.get("clip_norm") == 0:
        given["clip_norm"] = None
    return replace(recipes[args.task], **given)


def changed(recipe: Recipe, settings: dict[str, Any], where: str) -> Recipe:
    """The recipe with the settings of a file, checked as the flags are. Raises `UserError`, naming the key."""
    values = {}
    for name, value in settings.items():
        try:
            # as text, because YAML takes 1e-5, without a point, for one
            values[name] = None if value is None and name in _NONE else _RECIPE_FLAGS[name][0](str(value))
        except argparse.ArgumentTypeError as error:
            raise UserError(f"{where}: {name}: {error}") from None
        if name == "precision" and values[name] not in (None, *PRECISIONS):
            raise UserError(f"{where}: precision is {value!r}, expected one of {', '.join(PRECISIONS)}")
    if values.get("clip_norm") == 0:
        values["clip_norm"] = None
    return replace(recipe, **values)


def run(args: argparse.Namespace, form: type[Form], recipes: dict[str, Recipe], data: LabelledSet) -> None:
    """Every source and seed in turn: trained, tested, appended to the results file; then the tables."""
    # imported here, so that --help and mistyped flags do not wait for them
    from ppa_plugin.convert.hugging_face import locate
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import append_results
    from ppa_plugin.evaluation.tables import pivot, to_text

    save_to = _places_to_save(args)
    chosen = recipe(args, recipes)
    targets = {source: args.targets or data.targets(source) for source in args.sources}
    for source in args.sources:
        data.check([source], targets[source])
    directory = locate(args.model)
    model = Model.of(directory, args.model, args.name)
    device = flags.device_or_default(args.device)
    settings = ", ".join(f"{name} {value}" for name, value in asdict(chosen).items() if value is not None)
    sys.stdout.write(f"{model.name}: {args.task} on {device}, {settings}\n")
    results = []
    for source in args.sources:
        for seed in args.seeds:
            place = save_to.get((source, seed))
            cell = transfer.measure(
                form, directory, model, args.task, data, source, targets[source], seed, chosen, device, place
            )
            append_results(args.output, cell)
            results += cell
    sys.stdout.write("\n" + "\n\n".join(to_text(table) for table in pivot(results, column="metric")) + "\n")


def _places_to_save(args: argparse.Namespace) -> dict[tuple[str, int], Path]:
    """Where the best checkpoint of each source and seed goes; none without --save.

    Raises `UserError` where one exists: the trainings before it would be for nothing.
    """
    if args.save is None:
        return {}
    if args.save.exists() and not args.save.is_dir():
        raise UserError(f"{args.save} exists and is not a directory; pass another --save")
    places = {(s, seed): args.save / f"{args.task}_{s}_{seed}" for s in args.sources for seed in args.seeds}
    there = next((place for place in places.values() if place.exists()), None)
    if there:
        raise UserError(f"{there} exists; pass another --save")
    return places


def seeds(text: str) -> list[int]:
    """`42,43` -> [42, 43]. Raises `UserError` for what is no list of different whole numbers."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part) < 1 << 32 for part in parts):
        raise UserError(f"--seeds {text}: expected whole numbers from 0 to 2^32 - 1 between commas, such as 42,43")
    numbers = [int(part) for part in parts]
    if len(set(numbers)) < len(numbers):
        raise UserError(f"--seeds {text}: a seed stands twice, and would give the same results twice")
    return numbers


def _positive_number(text: str) -> float:
    value = _number(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def _defaults(name: str, recipes: dict[str, Recipe]) -> str:
    values = {task: getattr(recipe, name) for task, recipe in recipes.items()}
    said = {task: _NONE[name] if value is None else f"{value:g}" for task, value in values.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{task} {value}" for task, value in said.items())


# What None means for each field that may be None.
_NONE = {"clip_norm": "none", "patience": "never", "precision": "fp16 on CUDA, else fp32"}
_RECIPE_FLAGS = {
    "learning_rate": (_positive_number, "AdamW's learning rate at its highest; it falls linearly to 0"),
    "epochs": (positive, "passes over the training set"),
    "batch_size": (positive, "sentences a batch"),
    "accumulation": (positive, "batches an update"),
    "max_length": (positive, "tokens a sentence with the special ones"),
    "weight_decay": (_number, "of all parameters but biases and LayerNorms"),
    "adam_eps": (_positive_number, "AdamW's epsilon"),
    "clip_norm": (_number, "greatest norm of the gradient; 0 for none"),
    "warmup": (natural, "updates over which the learning rate rises"),
    "patience": (positive, "epochs without a better dev score after which training stops"),
    "precision": (str, "mixed precision, or fp32"),
}
