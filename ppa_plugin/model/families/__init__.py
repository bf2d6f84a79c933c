"""The encoder families: a file each, which says all that is known of an architecture."""

from collections.abc import Iterable
from typing import Any

from ppa_plugin.commandline import UserError
from ppa_plugin.model.families.family import Family
from ppa_plugin.model.families.gte import GTE
from ppa_plugin.model.families.modernbert import ModernBERT
from ppa_plugin.model.families.xlmr import XLMR

# by what fairseq knows the model as
FAMILIES: dict[str, Family] = {family.model: family for family in (XLMR(), ModernBERT(), GTE())}
_FIRST = next(iter(FAMILIES.values()))


def of_config(config: dict[str, Any], directory: Any) -> Family:
    """The family of a config.json. Raises `UserError`, naming the model's type, where there is none."""
    found = config.get("model_type")
    for family in FAMILIES.values():
        if family.model_type == found:
            return family
    *most, last = (family.model_type for family in FAMILIES.values())
    known = f"{', '.join(most)} and {last}"
    raise UserError(f"{directory} is a {str(found)[:40]} model; only {known} can be converted")


def of_names(state: Iterable[str]) -> Family:
    """The family whose parameters a state dict has, under either kind of names; the first where none can be told."""
    names = list(state)
    for family in FAMILIES.values():
        table = family.names
        if any(table.hugging_face_mark.fullmatch(n) or table.fairseq_mark.fullmatch(n) for n in names):
            return family
    return _FIRST
