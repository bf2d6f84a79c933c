"""The step as a well-informed user of Transformers runs it: all sequences in one row, a kernel for any lengths.

What `DataCollatorWithFlattening` gives and FlashAttention's function for variable lengths attends to: one batch of
1 x T tokens, positions that begin anew in each sequence, no padding. flash-attn is a library that has to be built, so
the attention function registered here calls the same kernels as our own blocks.
"""

import functools
from typing import Any, NamedTuple

import padded_step
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.data.masking import SIDES
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import TranslitXLMR
from ppa_plugin.model.attention import KERNELS, Packing, choose_kernel
from ppa_plugin.model.families.xlmr import POSITION_OFFSET
from ppa_plugin.objectives.contrastive import info_nce, packed_mean_pool

_NAME = "packed_by_ppa"


class Apart(NamedTuple):
    """Queries, keys and values (T, H, D), for the kernels that take a joined (T, 3, H, D) apart first.

    Transformers projects the three apart, as flash-attn's function takes them; joining them would be a copy too many.
    """

    query: Tensor
    key: Tensor
    value: Tensor

    @property
    def requires_grad(self) -> bool:
        return self.query.requires_grad

    def unbind(self, _dim: int) -> "Apart":
        return self


def share_parameters(model: TranslitXLMR) -> nn.Module:
    """`padded_step.share_parameters` with attention within packed sequences, which `losses` says which are."""
    transformers = import_transformers()
    if transformers.XLMRobertaForMaskedLM.is_backend_compatible():
        transformers.AttentionInterface.register(_NAME, _attend)
        return padded_step.share_parameters(model, attn_implementation=_NAME)
    # XLM-R of Transformers before 5.0 asks for no attention function
    packed = padded_step.share_parameters(model)
    for block in packed.roberta.encoder.layer:
        block.attention.self.forward = functools.partial(_self_attention, block.attention.self)
    return packed


def losses(model: nn.Module, batch: dict, layer: int) -> dict[str, Tensor]:
    """The four terms of a batch from `ppa_plugin.data.batch.collate`; `layer` is the one that SEQ pools."""
    inputs = batch["net_input"]
    packing = _pack(model, inputs)
    for block in model.roberta.encoder.layer:
        block.attention.self.packing = packing
    tokens, positions = inputs["tokens"][None], inputs["positions"][None] + POSITION_OFFSET
    types = torch.zeros_like(tokens)
    output = model.roberta(tokens, token_type_ids=types, position_ids=positions, output_hidden_states=True)
    top, pooled_layer = output.last_hidden_state[0], output.hidden_states[layer][0]
    terms = {}
    for stream, masked in batch["masked"].items():
        logits = model.lm_head(top.index_select(0, masked["rows"]))
        terms["tlm" if stream == "tlm" else f"mlm_{stream}"] = F.cross_entropy(logits.float(), masked["targets"])
    sequences = len(inputs["lengths"])
    vectors = packed_mean_pool(pooled_layer, batch["content"], batch["content_sequence"], sequences)
    terms["seq"] = info_nce(*(vectors.index_select(0, batch["sequence"][side]) for side in SIDES))
    return terms


def _pack(model: nn.Module, inputs: dict[str, Any]) -> Packing:
    weight, config = model.roberta.embeddings.word_embeddings.weight, model.config
    width = config.hidden_size // config.num_attention_heads
    kernel = choose_kernel("auto", weight.device, weight.dtype, width)
    return Packing(inputs["lengths"], inputs["cu_seqlens"], kernel, weight.device)


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, dropout: float = 0.0, **_: Any
) -> tuple[Tensor, None]:
    """As Transformers calls it: (1, H, T, D) each -> (1, T, H, D), and no attention weights."""
    apart = Apart(*(part[0].transpose(0, 1) for part in (query, key, value)))
    packing = module.packing
    projected = torch.stack(apart, dim=1) if packing.kernel == "runs" else apart
    return KERNELS[packing.kernel](projected, packing, dropout)[None], None


def _self_attention(module: nn.Module, hidden: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    """What XLM-R's self-attention of Transformers 5 does: hidden (1, T, C) -> (1, T, C), and no attention weights."""
    shape = (*hidden.shape[:-1], module.num_attention_heads, -1)
    heads = (part(hidden).view(shape).transpose(1, 2) for part in (module.query, module.key, module.value))
    attended, weights = _attend(module, *heads, None, dropout=module.dropout.p if module.training else 0.0)
    return attended.flatten(2), weights
