"""Retrieval accuracy during training, which the paper selects its checkpoints by."""

from pathlib import Path

import numpy as np
import torch

from ppa_plugin.codes import ENGLISH
from ppa_plugin.data.bounds import bounded
from ppa_plugin.data.masking import wrap
from ppa_plugin.data.vocabulary import TextEncoder
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.evaluation.retrieval.top_k import top_k_accuracy
from ppa_plugin.model.sizes import default_layer
from ppa_plugin.objectives.contrastive import packed_mean_pool

# bounds the memory of one forward
_TOKENS_A_FORWARD = 16_384


class RetrievalMetric:
    """Top-10 accuracy from English to every language of a directory in Tatoeba's layout, the mean over languages.

    Measured as `ppa-evaluate retrieval --task tatoeba --sources eng_Latn` does: the mean over all tokens of the default
    layer's output, specials included, and the cosine. Sentences are read and encoded once.

    Args:
        directory: holds `tatoeba.xxx-eng.xxx` and `tatoeba.xxx-eng.eng`, or Glot500's names.
        tokenizer: its file, of SentencePiece or a tokenizer.json.
        max_positions: longer sentences are cut.
    """

    def __init__(self, directory: Path, tokenizer: Path, max_positions: int):
        data = RetrievalSet(directory, "tatoeba")
        encoder = TextEncoder(tokenizer)
        self.pairs = {}
        for target in data.targets(ENGLISH):
            pair = data.pair(ENGLISH, target)
            self.pairs[target] = tuple(
                _encode(encoder, side.sentences, max_positions) for side in (pair.queries, pair.candidates)
            )

    @torch.no_grad()
    def __call__(self, model) -> float:
        """The mean over languages, 0 to 1; the model's training mode is left as it was."""
        training = model.training
        model.eval()
        layer = default_layer(model.depth)
        shares = [
            top_k_accuracy(_embed(model, english, layer), _embed(model, other, layer), (10,))[10]
            for english, other in self.pairs.values()
        ]
        model.train(training)
        return sum(shares) / len(shares)


def _encode(encoder: TextEncoder, sentences, max_positions: int) -> list[np.ndarray]:
    return [wrap(ids, max_positions, encoder.specials) for ids in encoder.encode(list(sentences))]


def _embed(model, sequences: list[np.ndarray], layer: int) -> torch.Tensor:
    """The mean over all tokens of each sequence, (N, C) in FP32, in the order given."""
    device = next(model.parameters()).device
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
    vectors = None
    for places in bounded([len(sequences[i]) for i in order], most_tokens=_TOKENS_A_FORWARD):
        batch = order[places]
        lengths = np.array([len(sequences[i]) for i in batch])
        tokens = torch.from_numpy(np.concatenate([sequences[i] for i in batch])).to(device)
        positions = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths])).to(device)
        hidden = model(tokens, positions, lengths, layers=(layer,)).layers[layer]
        of_token = torch.from_numpy(np.repeat(np.arange(len(batch)), lengths)).to(device)
        pooled = packed_mean_pool(hidden, torch.arange(len(tokens), device=device), of_token, len(batch))
        if vectors is None:
            vectors = pooled.new_empty(len(sequences), pooled.size(1))
        vectors[torch.tensor(batch, device=device)] = pooled
    return vectors
