"""Encoded pairs in a random order, the first of them for validation, sharing no text with those for training."""

from pathlib import Path
from typing import Any

import numpy as np
from ppa_preprocess.group import Group
from ppa_preprocess.lines import open_lines
from ppa_preprocess.sample import random_order
from ppa_preprocess.workspace import SIDES


def valid_size(pairs: int, wished: int) -> int:
    """How many of a language's pairs are for validation: a tenth where there are fewer than twice `wished`."""
    return wished if pairs >= 2 * wished else min(pairs - 1, max(1, pairs // 10))


def split_pairs(whole: list[Path], directory: Path, group: Group, lang: str) -> tuple[dict[str, Any], list[int]]:
    """Move the pairs of the two files `whole` into `{train,valid}.{orig,latn}` in `directory`, in a seeded order.

    Returns the pairs and tokens of each split, and the indices of the pairs left out of training because one of
    their sides equals that of a validation pair.
    """
    with open_lines(whole[0]) as orig, open_lines(whole[1]) as latn:
        order = random_order(len(orig), group.seed, "shuffle", lang)
        size = valid_size(len(orig), group.valid_size)
        seen = [{side[i] for i in order[:size]} for side in (orig, latn)]
        rest = order[size:]
        shared = np.fromiter((orig[i] in seen[0] or latn[i] in seen[1] for i in rest), dtype=bool, count=len(rest))
        counts: dict[str, Any] = {"tokens": {}}
        for name, indices in (("train", rest[~shared]), ("valid", order[:size])):
            counts[name] = len(indices)
            counts["tokens"][name] = {}
            for side, lines in zip(SIDES, (orig, latn), strict=True):
                counts["tokens"][name][side] = 0
                if not len(indices):
                    continue
                with open(directory / f"{name}.{side}", "wb") as handle:
                    for index in indices:
                        line = lines[index]
                        handle.write(line + b"\n")
                        counts["tokens"][name][side] += line.count(b" ") + 2  # pieces, and </s>
    for path in whole:
        path.unlink()
    return counts, rest[shared].tolist()
