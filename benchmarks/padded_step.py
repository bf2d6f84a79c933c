"""The step as the paper's code ran it: Transformers' model, three padded passes, the head on masked positions only."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.data.masking import BOS, EOS, PAD, STREAMS
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import TranslitXLMR
from ppa_plugin.model.names import name_table
from ppa_plugin.objectives.contrastive import info_nce, mean_pool


def share_parameters(model: TranslitXLMR) -> nn.Module:
    """`XLMRobertaForMaskedLM` of the same sizes whose parameters are those of `model`, the very same tensors."""
    transformers = import_transformers()
    encoder = model.encoder.sentence_encoder
    block = encoder.layers[0]
    config = transformers.XLMRobertaConfig(
        vocab_size=encoder.embed_tokens.num_embeddings,
        hidden_size=encoder.embed_tokens.embedding_dim,
        num_hidden_layers=len(encoder.layers),
        num_attention_heads=block.self_attn.heads,
        intermediate_size=block.fc1.out_features,
        max_position_embeddings=encoder.embed_positions.num_embeddings,
        hidden_dropout_prob=encoder.dropout,
        attention_probs_dropout_prob=block.self_attn.dropout,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    with torch.device("meta"):
        padded = transformers.XLMRobertaForMaskedLM(config)
    ours = dict(model.named_parameters())
    for theirs, name in name_table(len(encoder.layers)).items():
        module, _, leaf = theirs.rpartition(".")
        setattr(padded.get_submodule(module), leaf, ours[name])
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
