"""What models are called in a plot: a path that they share is said once, and several seeds of one training are one."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

_OF_A_SEED = re.compile(r"(?P<training>.+)[/-]seed[0-9]+", re.DOTALL)
_PATH = "…/"  # stands for the shared path in a name, where other names have none


def trainings(models: Iterable[str], measured: Callable[[str], Hashable]) -> dict[str, list[str]]:
    """Models by what a plot shows as one: `a/seed1` and `a/seed2` are `a (2 seeds)`, others are by themselves.

    `measured` says on what a model was measured: a mean of models of which that differs would be of nothing.
    """
    models = list(models)
    alike: dict[tuple, list[str]] = defaultdict(list)
    for model in models:
        found = _OF_A_SEED.fullmatch(model)
        alike[(found["training"], measured(model)) if found else (model,)].append(model)
    shown: dict[str, list[str]] = {}
    for (training, *_), seeds in alike.items():
        together = f"{training} ({len(seeds)} seeds)"
        if len(seeds) > 1 and together not in models and together not in shown:
            shown[together] = seeds
        else:
            shown |= {model: [model] for model in seeds}
    return shown


def of_seeds(shown: dict[str, list[str]], spread: str) -> str:
    """What is to be said of what `trainings` gave; `spread` is how a plot shows where the seeds lie."""
    several = any(len(models) > 1 for models in shown.values())
    return f"Of several seeds: their mean, {spread} from the lowest to the highest" if several else ""


def shortened(names: Iterable[str]) -> tuple[dict[str, str], str]:
    """Names as a plot has them, and a sentence that says what they are without; empty where they are as they were.

    Without the path that all those with a path begin with. It is marked where other names have no path.
    """
    names = list(dict.fromkeys(names))
    pathed = [name for name in names if "/" in name]
    begin = os.path.commonprefix(pathed)  # noqa: RUF071 -- names, not paths of this system
    path = begin[: begin.rfind("/") + 1]
    whole = len(pathed) < 2 or " (" in path or path in pathed  # (: what tells variants apart
    if len(pathed) == len(names) and path and not whole:
        return {name: name.removeprefix(path) for name in names}, f"All names begin with {path}"
    if len(path) > len(_PATH) and not whole:
        return {n: _PATH + n.removeprefix(path) if n in pathed else n for n in names}, f"{_PATH} stands for {path}"
    return {name: name for name in names}, ""
