"""The one table of parameter names that both directions of the conversion read.

Hugging Face names are those of `XLMRobertaForMaskedLM`, fairseq names those of `RobertaModel`, with one addition: the
token-type row, which fairseq's own model lacks and Hugging Face has trained in every XLM-R and Glot500.
"""

import re
from collections.abc import Mapping

import torch

from ppa_plugin.commandline import UserError

_EMBEDDINGS = {
    "roberta.embeddings.word_embeddings": "encoder.sentence_encoder.embed_tokens",
    "roberta.embeddings.position_embeddings": "encoder.sentence_encoder.embed_positions",
    "roberta.embeddings.token_type_embeddings": "encoder.sentence_encoder.embed_token_types",
}
_OUTSIDE_LAYERS = {
    "roberta.embeddings.LayerNorm": "encoder.sentence_encoder.layernorm_embedding",
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
_HF_WORDS = "roberta.embeddings.word_embeddings.weight"
_HF_TIED = {"lm_head.decoder.weight": _HF_WORDS, "lm_head.decoder.bias": "lm_head.bias"}

# What the masked-LM model does not have: buffers, and heads for other tasks.
_HF_IGNORED = re.compile(r"roberta\.embeddings\.(position_ids|token_type_ids)|roberta\.pooler\..*")
_FAIRSEQ_IGNORED = re.compile(
    r"encoder\.sentence_encoder\.version|encoder\.sentence_encoder\.embed_positions\._float_tensor"
    r"|(encoder\.)?classification_heads\..*"
)


def name_table(layers: int) -> dict[str, str]:
    """Hugging Face name -> fairseq name of every parameter of a model with `layers` layers, tied ones once."""
    table = {f"{hf}.weight": f"{fairseq}.weight" for hf, fairseq in _EMBEDDINGS.items()}
    modules = dict(_OUTSIDE_LAYERS)
    for layer in range(layers):
        for hf, fairseq in _IN_LAYER.items():
            modules[f"{_HF_LAYER}.{layer}.{hf}"] = f"{_FAIRSEQ_LAYER}.{layer}.{fairseq}"
    for hf, fairseq in modules.items():
        for kind in ("weight", "bias"):
            table[f"{hf}.{kind}"] = f"{fairseq}.{kind}"
    table["lm_head.bias"] = OUTPUT_BIAS
    return table


def to_fairseq(state: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Rename a Hugging Face state dict to fairseq's names; tensors are passed on as they are.

    Duplicates of tied tensors, the pooler and position buffers are left out. Raises `UserError`, naming `where` and the
    parameter, where one is missing, unknown, or an output projection is not the embedding matrix.
    """
    if not any(name.startswith("lm_head.") for name in state):
        raise UserError(
            f"{where} holds no lm_head: it was saved without its masked-LM head; "
            "save it with AutoModelForMaskedLM instead of AutoModel"
        )
    for name, of in _HF_TIED.items():
        if name in state and of in state and not torch.equal(state[name], state[of]):
            raise UserError(f"{where}: {name} differs from {of}; only models with a tied output layer can be converted")
    kept = {name: t for name, t in state.items() if name not in _HF_TIED and not _HF_IGNORED.fullmatch(name)}
    table = name_table(_depth(kept, _HF_LAYER))
    _check_names(set(kept), set(table), where)
    renamed = {fairseq: kept[hf] for hf, fairseq in table.items()}
    renamed[TIED_OUTPUT] = renamed[EMBED_TOKENS]
    return renamed


def to_hugging_face(state: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Rename a fairseq state dict to Hugging Face's names; tensors are passed on as they are.

    A missing token-type row (fairseq's own XLM-R has none) becomes zeros, which changes no output.
    Raises `UserError`, naming `where` and the parameter, where one is missing, unknown, or the output layer is untied.
    """
    kept = {name: t for name, t in state.items() if not _FAIRSEQ_IGNORED.fullmatch(name)}
    output = kept.pop(TIED_OUTPUT, None)
    tokens = kept.get(EMBED_TOKENS)
    if output is not None and tokens is not None and not torch.equal(output, tokens):
        raise UserError(
            f"{where}: {TIED_OUTPUT} differs from {EMBED_TOKENS}; only models with a tied output layer can be converted"
        )
    if tokens is not None and EMBED_TOKEN_TYPES not in kept:
        kept[EMBED_TOKEN_TYPES] = torch.zeros(1, tokens.shape[1], dtype=tokens.dtype)
    table = name_table(_depth(kept, _FAIRSEQ_LAYER))
    _check_names(set(kept), set(table.values()), where)
    return {hf: kept[fairseq] for hf, fairseq in table.items()}


def check_finite(state: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise `UserError`, naming `where` and the parameter, where a weight is NaN or infinite."""
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"{where} holds NaN or infinite weights in {name}; start from an earlier one")


def _depth(state: dict[str, torch.Tensor], prefix: str) -> int:
    """The number of layers, one more than the highest number after `prefix`; 1 without any, to be reported missing."""
    found = [re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state]
    return max((int(match.group(1)) for match in found if match), default=0) + 1


def _check_names(found: set[str], expected: set[str], where: str) -> None:
    if missing := sorted(expected - found):
        raise UserError(f"{where}: {_listed(missing)} missing; this is not a whole XLM-R with a masked-LM head")
    if unknown := sorted(found - expected):
        raise UserError(f"{where}: unknown {_listed(unknown)}; leaving it out would change what the model computes")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"parameter {names[0]}{more}"
