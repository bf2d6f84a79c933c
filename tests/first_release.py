"""A model under the names that fairseq published XLM-R with."""

import re

import torch


def first_release(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A fairseq state dict under the names that XLM-R was published with: no token type, one matrix for q, k and v."""
    old = {}
    for name, tensor in state.items():
        name = name.replace("encoder.", "decoder.", 1).replace(".layernorm_embedding.", ".emb_layer_norm.")
        if match := re.fullmatch(r"(.*self_attn\.)q_proj\.(weight|bias)", name):
            parts = [state[f"{match[1]}{part}_proj.{match[2]}".replace("decoder", "encoder", 1)] for part in "qkv"]
            old[f"{match[1]}in_proj_{match[2]}"] = torch.cat(parts)
        elif not re.search(r"\.[kv]_proj\.|embed_token_types", name):
            old[name] = tensor
    old["decoder.sentence_encoder.version"] = torch.ones(1)
    return old
