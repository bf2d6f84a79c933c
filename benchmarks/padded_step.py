"""The step as the paper's code ran it: Transformers' model, three padded passes, the head on masked positions only."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.data.masking import EOS, PAD, STREAMS
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import TranslitXLMR
from ppa_plugin.model.names import to_hugging_face
from ppa_plugin.objectives.contrastive import info_nce, mean_pool


def share_parameters(model: TranslitXLMR, **options: Any) -> nn.Module:
    """`XLMRobertaForMaskedLM` of the same sizes whose parameters are those of `model`, the very same tensors.

    `options` are more settings of its config.
    """
    transformers = import_transformers()
    encoder = model.encoder.sentence_encoder
    attention = encoder.layers[0].self_attn
    shared = to_hugging_face(dict(model.named_parameters()), "the model")
    dropouts = {"dropout": encoder.dropout, "attention_dropout": attention.dropout}
    config = transformers.XLMRobertaConfig(**model.family.derive_config(shared, attention.heads, dropouts), **options)
    with torch.device("meta"):
        padded = transformers.XLMRobertaForMaskedLM(config)
    padded.load_state_dict(shared, strict=False, assign=True)
    padded.lm_head.decoder.weight = padded.roberta.embeddings.word_embeddings.weight
    padded.lm_head.decoder.bias = padded.lm_head.bias
    embeddings = padded.roberta.embeddings
    positions = config.max_position_embeddings
    device = encoder.embed_tokens.weight.device
    embeddings.position_ids = torch.arange(positions, device=device).unsqueeze(0)
    embeddings.token_type_ids = torch.zeros(1, positions, dtype=torch.long, device=device)
    return padded


def pad(samples: list[dict], device: torch.device) -> dict[str, dict[str, Tensor]]:
    """The items of a `PairedDataset` as padded batches (B x T), one a stream, with the same masks."""
    batches = {}
    for stream in STREAMS:
        rows = [sample[stream] for sample in samples]
        tokens = np.full((len(rows), max(len(row[0]) for row in rows)), PAD)
        chosen = np.zeros(tokens.shape, dtype=bool)
        targets = np.concatenate([row[2] for row in rows])
        for i, (row, positions, _) in enumerate(rows):
            tokens[i, : len(row)] = row
            chosen[i, positions] = True
        batch = {"tokens": tokens, "real": tokens != PAD, "chosen": chosen, "targets": targets.astype(np.int64)}
        batches[stream] = {name: torch.from_numpy(array).to(device) for name, array in batch.items()}
    return batches


def losses(model: nn.Module, batches: dict[str, dict[str, Tensor]], layer: int) -> dict[str, Tensor]:
    """The four terms; `layer` is the one that SEQ pools."""
    terms, pooled = {}, []
    for stream, batch in batches.items():
        output = model.roberta(batch["tokens"], attention_mask=batch["real"].long(), output_hidden_states=True)
        logits = model.lm_head(output.last_hidden_state[batch["chosen"]])
        terms["tlm" if stream == "tlm" else f"mlm_{stream}"] = F.cross_entropy(logits.float(), batch["targets"])
        if stream != "tlm":
            content = batch["real"] & (batch["tokens"] > EOS)
            pooled.append(mean_pool(output.hidden_states[layer], content))
    terms["seq"] = info_nce(*pooled)
    return terms
