"""Both directions of the conversion: each reads the one table of a family's names (`ppa_plugin.model.families`).

Hugging Face names are those of the family's class with a masked-LM head; an encoder that was saved without a head has
none under either kind of names.
"""

import re
from collections.abc import Iterable, Mapping

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.model.families import FAMILIES, of_names
from ppa_plugin.model.families.family import (
    EMBED_TOKENS,
    FAIRSEQ_LAYER,
    OUTPUT_BIAS,
    TIED_OUTPUT,
    Family,
    layers_of,
)

# What the masked-LM model does not have: buffers, and heads for other tasks.
_FAIRSEQ_IGNORED = re.compile(
    r"encoder\.sentence_encoder\.version|encoder\.sentence_encoder\.embed_positions\._float_tensor"
    r"|(encoder\.)?classification_heads\..*"
)
_NORM = re.compile(r"norm|_ln\.", re.IGNORECASE)
# what tells a masked-LM head under Hugging Face's names, where its module is not called as fairseq's
_OUTPUT_BIASES = {hf for family in FAMILIES.values() for hf, own in family.names.head.items() if own == OUTPUT_BIAS}
_WRAPPERS = {
    "module.": "saved from DataParallel or DistributedDataParallel; save model.module in its place",
    "_orig_mod.": "saved from a model that torch.compile wraps; save model._orig_mod in its place",
}


def has_head(state: Iterable[str]) -> bool:
    """Whether the parameters of a state dict, of either kind of names, are those of a model with a masked-LM head."""
    return any("lm_head." in name or name in _OUTPUT_BIASES for name in state)


def as_transformers(
    state: dict[str, torch.Tensor], where: str, family: Family | None = None
) -> dict[str, torch.Tensor]:
    """A Hugging Face state dict under the names of the family's class with a masked-LM head, tied tensors once.

    What Transformers loads under other names is taken as it takes it: an encoder that `AutoModel` saved, without the
    prefix, or under an earlier one; the gamma and beta of a LayerNorm; a tied tensor saved under its second name alone.
    Without `family` the names tell it.
    Raises `UserError`, naming `where` and the parameter, where an output projection is not the embedding matrix, two
    names mean one parameter, or the model lies inside another module.
    """
    table = (family or of_names(state)).names
    if match := _first_match(table.hugging_face_mark, state):
        _check_not_wrapped(match.group(1), state, where)
    elif _first_match(table.fairseq_mark, state):
        raise UserError(
            f"{where}: the names are fairseq's; `ppa-convert to-hf` takes such a checkpoint (as a .pt file)"
        )
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        new = re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda m: {"gamma": "weight", "beta": "bias"}[m.group()], name)
        if table.earlier_prefix:
            new = re.sub(f"^{re.escape(table.earlier_prefix)}", table.prefix, new)
        if new.startswith(table.unprefixed):
            new = table.prefix + new
        if new in renamed:
            raise UserError(f"{where} holds {new} under two names, one of them {name}")
        renamed[new] = tensor
    for name, of in table.tied.items():
        tied = renamed.pop(name, None)
        if tied is not None and not torch.equal(tied, renamed.setdefault(of, tied)):
            raise UserError(f"{where}: {name} differs from {of}; only models with a tied output layer can be converted")
    return renamed


def pooler(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The pooler of an encoder, which fairseq has no place for, of what `as_transformers` returned; often empty."""
    begins = of_names(state).names.pooler
    return {name: tensor for name, tensor in state.items() if begins and name.startswith(begins)}


def to_fairseq(state: dict[str, torch.Tensor], where: str, family: Family | None = None) -> dict[str, torch.Tensor]:
    """Rename a Hugging Face state dict to fairseq's names; tensors are passed on as they are.

    Duplicates of tied tensors, the pooler and position buffers are left out; a model without a masked-LM head has none
    after it either. Without `family` the names tell it. Raises `UserError` as `as_transformers` does and, naming
    `where` and the parameter, where one is missing or unknown.
    """
    family = family or of_names(state)
    names = family.names
    kept = {name: t for name, t in as_transformers(state, where, family).items() if not names.ignored.fullmatch(name)}
    head = has_head(kept)
    table = names.table(layers_of(kept, names.layer) or 1, head)
    _check_names(kept, set(table), where, head, family)
    _check_dimensions(kept, where)
    renamed = {fairseq: kept[hf] for hf, fairseq in table.items()}
    if head:
        renamed[TIED_OUTPUT] = renamed[EMBED_TOKENS]
    return renamed


def as_fairseq(state: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """A fairseq state dict under today's names: those of RoBERTa's and XLM-R's first releases are renamed.

    What is no parameter of ours, buffers and heads for other tasks, is dropped.
    Raises `UserError`, naming `where`, where the model lies inside another module.
    """
    if match := _first_match(of_names(state).names.fairseq_mark, state):
        _check_not_wrapped(match.group(1), state, where)
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        new = re.sub(r"^decoder\.", "encoder.", name).replace(".emb_layer_norm.", ".layernorm_embedding.")
        if _FAIRSEQ_IGNORED.fullmatch(new):
            continue
        if ".self_attn.in_proj_" in new:
            if not tensor.dim() or len(tensor) % 3:
                raise UserError(f"{where}: {name} of shape {tuple(tensor.shape)} is not three matrices of one size")
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                renamed[new.replace("in_proj_", f"{part}_proj.")] = third
        else:
            renamed[new] = tensor
    return renamed


def to_hugging_face(state: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Rename a fairseq state dict to the names of the family's class of Transformers; tensors stay as they are.

    What checkpoints of fairseq's own leave out is added (`Family.complete`).
    Raises `UserError` as `as_fairseq` does and, naming `where` and the parameter, where one is missing, unknown, or the
    output layer is untied.
    """
    family = of_names(state)
    kept = as_fairseq(state, where)
    output = kept.pop(TIED_OUTPUT, None)
    tokens = kept.get(EMBED_TOKENS)
    if output is not None and tokens is not None and not torch.equal(output, tokens):
        raise UserError(
            f"{where}: {TIED_OUTPUT} differs from {EMBED_TOKENS}; only models with a tied output layer can be converted"
        )
    family.complete(kept)
    head = has_head(kept)
    table = family.names.table(layers_of(kept, FAIRSEQ_LAYER) or 1, head)
    _check_names(kept, set(table.values()), where, head, family)
    _check_dimensions(kept, where)
    return {hf: kept[fairseq] for hf, fairseq in table.items()}


def check_finite(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise `UserError`, naming `where` and the parameter, where a weight is NaN or infinite."""
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"{where} holds NaN or infinite weights in {name}; start from an earlier one")


def _first_match(pattern: re.Pattern, state: Iterable[str]) -> re.Match | None:
    return next((match for match in map(pattern.fullmatch, state) if match), None)


def _check_not_wrapped(outer: str, state: Iterable[str], where: str) -> None:
    if outer:
        begins = "every name" if all(name.startswith(outer) for name in state) else "the encoder's names"
        begins += " begins" if begins == "every name" else " begin"
        reason = _WRAPPERS.get(outer, "saved inside another module; save the model in it alone")
        raise UserError(f"{where}: {begins} with {outer!r}: {reason}")


def _check_names(found: Iterable[str], expected: set[str], where: str, head: bool, family: Family) -> None:
    found = set(found)
    if missing := sorted(expected - found):
        kind = f"{family.title} with a masked-LM head" if head else f"{family.title} encoder"
        raise UserError(f"{where}: {_listed(missing)} missing; this is not a whole {kind}")
    unknown = sorted(found - expected)
    if unknown and not head and not any(name.startswith((family.names.prefix, "encoder.")) for name in unknown):
        raise UserError(
            f"{where} has a head for another task ({_listed(unknown)}) and none for masked LM; save its encoder alone"
        )
    if unknown:
        raise UserError(f"{where}: unknown {_listed(unknown)}; leaving it out would change what the model computes")


def _check_dimensions(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise `UserError` unless biases and LayerNorms are vectors and all other parameters matrices."""
    for name, tensor in state.items():
        vector = name.endswith(".bias") or _NORM.search(name)
        if tensor.dim() != (1 if vector else 2) or not tensor.numel():
            kind = "a vector" if vector else "a matrix"
            raise UserError(f"{where}: {name} is of shape {tuple(tensor.shape)}, expected {kind}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"parameter {names[0]}{more}"
