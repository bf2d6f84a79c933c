"""One model's retrieval accuracy on one task: every language embedded once, every pair ranked."""

import sys
from collections import Counter

import torch

from ppa_plugin.codes import default_targets
from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.encoder.batches import BATCH_SENTENCES, BATCH_TOKENS
from ppa_plugin.evaluation.encoder.loading import environment
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.retrieval.readers import Pair, RetrievalSet
from ppa_plugin.evaluation.retrieval.top_k import top_k_accuracy
from ppa_plugin.evaluation.typed_text import remark
from ppa_plugin.romanization.by_language import Romanizers

KS = (1, 5, 10)


def plan(data: RetrievalSet, sources: list[str], targets: list[str] | None) -> list[Pair]:
    """Every pair of a source and another target; by default the `default_targets` that the task has for that source.

    Raises `UserError` for an unknown language, files that do not fit together, or where no pair is left.
    """
    data.check_languages([*sources, *(targets or [])])
    chosen = [(s, t) for s in sources for t in targets or default_targets(data.targets(s)) if s != t]
    if not chosen:
        raise UserError(f"no pair to rank: the only target is the source itself ({', '.join(sources)})")
    pairs = [data.pair(source, target) for source, target in chosen]
    for warning in dict.fromkeys(pair.warning for pair in pairs if pair.warning):
        sys.stderr.write(f"warning: {warning}\n")
    return pairs


def measure(
    encoder: SentenceEncoder,
    model: Model,
    task: str,
    pairs: list[Pair],
    batch_size: int = BATCH_SENTENCES,
    max_tokens: int = BATCH_TOKENS,
    step: int | None = None,
    romanizers: Romanizers | None = None,
) -> list[Result]:
    """Top-1, top-5 and top-10 accuracy of every pair at every layer of the encoder, in the pairs' order.

    `step`, the update that a checkpoint was made at, and `romanizers`, with which the pairs were read, stand in the
    results' `config`.
    """
    config = {
        "batch_size": batch_size,
        "max_tokens": max_tokens,
        "max_length": encoder.max_length,
        "precision": encoder.precision,
        **environment(encoder.device),
        **remark(romanizers),
    }
    if step is not None:
        config["step"] = step
    # The English files beside two languages are mostly one text, so that what is read is what decides.
    uses = Counter(side.sentences for pair in pairs for side in (pair.queries, pair.candidates))
    vectors: dict[tuple[str, ...], torch.Tensor] = {}
    results = []
    for pair in pairs:
        for side, language in ((pair.queries, pair.source), (pair.candidates, pair.target)):
            if side.sentences not in vectors:
                vectors[side.sentences] = encoder.encode_layers(
                    side.sentences, batch_size, f"embedding {language}", max_tokens
                )
        of_pair = {"task": task, "source": pair.source, "target": pair.target, "data_sha256": pair.data_sha256}
        of_pair |= {"seed": None, "n": len(pair.queries.sentences), "pool": encoder.pool}
        for i, layer in enumerate(encoder.layers):
            accuracy = top_k_accuracy(vectors[pair.queries.sentences][i], vectors[pair.candidates.sentences][i], KS)
            results += [
                model.result(**of_pair, layer=layer, metric=f"top{k}", value=value, config=dict(config))
                for k, value in accuracy.items()
            ]
        for side in (pair.queries, pair.candidates):
            uses[side.sentences] -= 1
            if not uses[side.sentences]:  # Tatoeba's English differs from file to file: most are used once
                vectors.pop(side.sentences, None)
    return results
