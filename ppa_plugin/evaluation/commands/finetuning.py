"""What `ppa-evaluate classify` and `ppa-evaluate tag` share: the recipe's flags, and running every source and seed."""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.tasks import TASKS, LabelledTask, Recipe, of_kind
from ppa_plugin.evaluation.transfer.labelled import LabelledSet
from ppa_plugin.evaluation.transfer.recipe_settings import CHOICES, DEFAULT_SEEDS, NONE, SETTINGS, seeds, with_values


def of_the_hub(kind: str) -> str:
    """Which data sets of the hub there are for the tasks of a kind, for the end of a command's help."""
    known = [f"hf:{task.hub.name} ({task.name})" for task in of_kind(kind).values() if task.hub]
    return f"--data may also be {' or '.join(known)}, with --targets."


def add_flags(parser: argparse.ArgumentParser, kind: str) -> None:
    """Model, data, output and every field of a recipe, with the defaults of the tasks of a kind."""
    flags.add_model_flags(parser)
    flags.add_data_flags(
        parser,
        kind,
        "languages to train on, one after another",
        "languages to test on (default: every language with a test file but English, the source included)",
    )
    parser.add_argument(
        "--seeds", type=seeds, default=DEFAULT_SEEDS, metavar="N,...", help="one training each (default: %(default)s)"
    )
    for name, (reader, words) in SETTINGS.items():
        options = {"choices": CHOICES[name]} if name in CHOICES else {"type": reader, "metavar": "N"}
        default = _defaults(name, of_kind(kind).values())
        parser.add_argument(f"--{name.replace('_', '-')}", help=f"{words} (default: {default})", **options)
    parser.add_argument(
        "--save", metavar="DIR", type=Path, help="write each best checkpoint to DIR/TASK_SOURCE_SEED (default: none)"
    )
    flags.add_output_flag(parser)


def recipe(args: argparse.Namespace) -> Recipe:
    """The task's recipe with what the flags change."""
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    return with_values(TASKS[args.task].recipe, given)


def run(args: argparse.Namespace, data: LabelledSet) -> None:
    """Every source and seed in turn: trained, tested, appended to the results file; then the tables."""
    # imported here, so that --help and mistyped flags do not wait for them
    from ppa_plugin.evaluation.model import Model
    from ppa_plugin.evaluation.results import append_results
    from ppa_plugin.evaluation.tables import pivot, to_text
    from ppa_plugin.evaluation.transfer import cross_lingual

    save_to = _places_to_save(args)
    chosen = recipe(args)
    targets = {source: args.targets or data.targets(source) for source in args.sources}
    for source in args.sources:
        data.check([source], targets[source])
    directory, model = Model.located(args.model, args.name)
    device = flags.device_or_default(args.device)
    settings = ", ".join(f"{name} {value}" for name, value in asdict(chosen).items() if value is not None)
    sys.stdout.write(f"{model.name}: {args.task} on {device}, {settings}\n")
    results = []
    for source in args.sources:
        for seed in args.seeds:
            place = save_to.get((source, seed))
            cell = cross_lingual.measure(directory, model, data, source, targets[source], seed, chosen, device, place)
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


def _defaults(name: str, tasks: Iterable[LabelledTask]) -> str:
    said = {task.name: _said(name, getattr(task.recipe, name)) for task in tasks}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{task} {value}" for task, value in said.items())


def _said(name: str, value: float | str | None) -> str:
    if value is None:
        return NONE[name]
    return value if isinstance(value, str) else f"{value:g}"
