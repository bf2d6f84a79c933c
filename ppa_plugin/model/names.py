"""The one table of parameter names that both directions of the conversion read.

Hugging Face names are those of `XLMRobertaForMaskedLM`, fairseq names those of `RobertaModel`, with one addition: the
token-type row, which fairseq's own model lacks and Hugging Face has trained in every XLM-R and Glot500. An encoder that
was saved without a head has none under either kind of names.
"""

import re
from collections.abc import Iterable, Mapping

import torch

from ppa_plugin.commandline import UserError

_EMBEDDINGS = {
    "roberta.embeddings.word_embeddings": "encoder.sentence_encoder.embed_tokens",
    "roberta.embeddings.position_embeddings": "encoder.sentence_encoder.embed_positions",
    "roberta.embeddings.token_type_embeddings": "encoder.sentence_encoder.embed_token_types",
}
_OUTSIDE_LAYERS = {
    "roberta.embeddings.LayerNorm": "encoder.sentence_encoder.layernorm_embedding",
}
_HEAD = {
    "lm_head.dense": "encoder.lm_head.dense",
    "lm_head.layer_norm": "encoder.lm_head.layer_norm",
}
_IN_LAYER = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "output.LayerNorm": "final_layer_norm",
}
_HF_LAYER = "roberta.encoder.layer"
_FAIRSEQ_LAYER = "encoder.sentence_encoder.layers"

EMBED_TOKENS = "encoder.sentence_encoder.embed_tokens.weight"
EMBED_TOKEN_TYPES = "encoder.sentence_encoder.embed_token_types.weight"
# the output projection is the embedding matrix: fairseq's state dict names it twice, Hugging Face's file once
TIED_OUTPUT = "encoder.lm_head.weight"
OUTPUT_BIAS = "encoder.lm_head.bias"
HEAD = "encoder.lm_head."
# Hugging Face's prefix of the encoder in a model with a head; `AutoModel` saves an encoder alone, without it
PREFIX = "roberta."
_HF_WORDS = "roberta.embeddings.word_embeddings.weight"
_HF_TIED = {"lm_head.decoder.weight": _HF_WORDS, "lm_head.decoder.bias": "lm_head.bias"}

# What the masked-LM model does not have: buffers, and heads for other tasks.
_HF_POOLER = "roberta.pooler."
_HF_IGNORED = re.compile(r"roberta\.embeddings\.(position_ids|token_type_ids)|roberta\.pooler\..*")
_FAIRSEQ_IGNORED = re.compile(
    r"encoder\.sentence_encoder\.version|encoder\.sentence_encoder\.embed_positions\._float_tensor"
    r"|(encoder\.)?classification_heads\..*"
)
# A parameter of every model of either kind; the first group is what names begin with where another module holds it.
_HF_POSITIONS = re.compile(r"(|.*?\.)(?:roberta\.)?embeddings\.position_embeddings\.weight")
_FAIRSEQ_POSITIONS = re.compile(r"(|.*?\.)(?:encoder|decoder)\.sentence_encoder\.embed_positions\.weight")
_LAYER_NORM = re.compile(r"layer_?norm", re.IGNORECASE)
_WRAPPERS = {
    "module.": "saved from DataParallel or DistributedDataParallel; save model.module in its place",
    "_orig_mod.": "saved from a model that torch.compile wraps; save model._orig_mod in its place",
}


def name_table(layers: int, head: bool = True) -> dict[str, str]:
    """Hugging Face name -> fairseq name of every parameter of a model with `layers` layers, tied ones once."""
    table = {f"{hf}.weight": f"{fairseq}.weight" for hf, fairseq in _EMBEDDINGS.items()}
    modules = _OUTSIDE_LAYERS | (_HEAD if head else {})
    for layer in range(layers):
        for hf, fairseq in _IN_LAYER.items():
            modules[f"{_HF_LAYER}.{layer}.{hf}"] = f"{_FAIRSEQ_LAYER}.{layer}.{fairseq}"
    for hf, fairseq in modules.items():
        for kind in ("weight", "bias"):
            table[f"{hf}.{kind}"] = f"{fairseq}.{kind}"
    if head:
        table["lm_head.bias"] = OUTPUT_BIAS
    return table


def has_head(state: Iterable[str]) -> bool:
    """Whether the parameters of a state dict, of either kind of names, are those of a model with a masked-LM head."""
    return any("lm_head." in name for name in state)


def as_transformers(state: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """A Hugging Face state dict under the names of `XLMRobertaForMaskedLM`, tied tensors once.

    What Transformers loads under other names is taken as it takes it: an encoder that `AutoModel` saved, without the
    prefix `roberta.`; the gamma and beta of a LayerNorm; a tied tensor saved under its second name alone.
    Raises `UserError`, naming `where` and the parameter, where an output projection is not the embedding matrix, two
    names mean one parameter, or the model lies inside another module.
    """
    if match := _first_match(_HF_POSITIONS, state):
        _check_not_wrapped(match.group(1), state, where)
    elif _first_match(_FAIRSEQ_POSITIONS, state):
        raise UserError(
            f"{where}: the names are fairseq's; `ppa-convert to-hf` takes such a checkpoint (as a .pt file)"
        )
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        new = re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda m: {"gamma": "weight", "beta": "bias"}[m.group()], name)
        if new.startswith(("embeddings.", "encoder.layer.", "pooler.")):
            new = PREFIX + new
        if new in renamed:
            raise UserError(f"{where} holds {new} under two names, one of them {name}")
        renamed[new] = tensor
    for name, of in _HF_TIED.items():
        tied = renamed.pop(name, None)
        if tied is not None and not torch.equal(tied, renamed.setdefault(of, tied)):
            raise UserError(f"{where}: {name} differs from {of}; only models with a tied output layer can be converted")
    return renamed


def pooler(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The pooler of an encoder, which fairseq has no place for, of what `as_transformers` returned; often empty."""
    return {name: tensor for name, tensor in state.items() if name.startswith(_HF_POOLER)}


def to_fairseq(state: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Rename a Hugging Face state dict to fairseq's names; tensors are passed on as they are.

    Duplicates of tied tensors, the pooler and position buffers are left out; a model without a masked-LM head has none
    after it either. Raises `UserError` as `as_transformers` does and, naming `where` and the parameter, where one is
    missing or unknown.
    """
    kept = {name: t for name, t in as_transformers(state, where).items() if not _HF_IGNORED.fullmatch(name)}
    head = has_head(kept)
    table = name_table(_depth(kept, _HF_LAYER), head)
    _check_names(set(kept), set(table), where, head)
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
    if match := _first_match(_FAIRSEQ_POSITIONS, state):
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
    """Rename a fairseq state dict to the names of `XLMRobertaForMaskedLM`; tensors are passed on as they are.

    A missing token-type row (fairseq's own XLM-R has none) becomes zeros, which changes no output.
    Raises `UserError` as `as_fairseq` does and, naming `where` and the parameter, where one is missing, unknown, or the
    output layer is untied.
    """
    kept = as_fairseq(state, where)
    output = kept.pop(TIED_OUTPUT, None)
    tokens = kept.get(EMBED_TOKENS)
    if output is not None and tokens is not None and not torch.equal(output, tokens):
        raise UserError(
            f"{where}: {TIED_OUTPUT} differs from {EMBED_TOKENS}; only models with a tied output layer can be converted"
        )
    if tokens is not None and tokens.dim() == 2 and EMBED_TOKEN_TYPES not in kept:
        kept[EMBED_TOKEN_TYPES] = torch.zeros(1, tokens.shape[1], dtype=tokens.dtype)
    head = has_head(kept)
    table = name_table(_depth(kept, _FAIRSEQ_LAYER), head)
    _check_names(set(kept), set(table.values()), where, head)
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


def _depth(state: dict[str, torch.Tensor], prefix: str) -> int:
    """How many different layers `prefix` begins the names of; 1 without any, to be reported missing.

    Not their highest number, which a name may claim: what is in between is missing, and said so by the first of it.
    """
    found = [re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state]
    return len({match.group(1) for match in found if match}) or 1


def _check_names(found: set[str], expected: set[str], where: str, head: bool) -> None:
    if missing := sorted(expected - found):
        whole = "a whole XLM-R with a masked-LM head" if head else "a whole XLM-R encoder"
        raise UserError(f"{where}: {_listed(missing)} missing; this is not {whole}")
    unknown = sorted(found - expected)
    if unknown and not head and not any(name.startswith((PREFIX, "encoder.")) for name in unknown):
        raise UserError(
            f"{where} has a head for another task ({_listed(unknown)}) and none for masked LM; save its encoder alone"
        )
    if unknown:
        raise UserError(f"{where}: unknown {_listed(unknown)}; leaving it out would change what the model computes")


def _check_dimensions(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise `UserError` unless biases and LayerNorms are vectors and all other parameters matrices."""
    for name, tensor in state.items():
        vector = name.endswith(".bias") or _LAYER_NORM.search(name)
        if tensor.dim() != (1 if vector else 2) or not tensor.numel():
            kind = "a vector" if vector else "a matrix"
            raise UserError(f"{where}: {name} is of shape {tuple(tensor.shape)}, expected {kind}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"parameter {names[0]}{more}"
