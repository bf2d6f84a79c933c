"""One model's retrieval accuracy on one task: every language embedded once, every pair ranked."""

import sys
from importlib.metadata import version

import torch

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.embedding import SentenceEncoder
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.readers import Pair, RetrievalSet, Side
from ppa_plugin.evaluation.results import Result
from ppa_plugin.evaluation.retrieval import top_k_accuracy

KS = (1, 5, 10)


def plan(data: RetrievalSet, sources: list[str], targets: list[str] | None) -> list[Pair]:
    """Every pair of a source and another target; by default of all targets that the task has for that source.

    Raises `UserError` for an unknown language, files that do not fit together, or where no pair is left.
    """
    data.check_languages([*sources, *(targets or [])])
    chosen = [(s, t) for s in sources for t in (targets if targets is not None else data.targets(s)) if s != t]
    if not chosen:
        raise UserError(f"no pair to rank: the only target is the source itself ({', '.join(sources)})")
    pairs = [data.pair(source, target) for source, target in chosen]
    for warning in dict.fromkeys(pair.warning for pair in pairs if pair.warning):
        sys.stderr.write(f"warning: {warning}\n")
    return pairs


def measure(encoder: SentenceEncoder, model: Model, task: str, pairs: list[Pair], batch_size: int) -> list[Result]:
    """Top-1, top-5 and top-10 accuracy of every pair, in the pairs' order."""
    # The English files beside two languages are mostly one text, so that the content is what decides.
    vectors: dict[str, torch.Tensor] = {}
    results = []
    for pair in pairs:
        for side, language in ((pair.queries, pair.source), (pair.candidates, pair.target)):
            if side.sha256 not in vectors:
                vectors[side.sha256] = _embed(encoder, side, language, batch_size)
        queries, candidates = vectors[pair.queries.sha256], vectors[pair.candidates.sha256]
        accuracy = top_k_accuracy(queries.to(encoder.device), candidates.to(encoder.device), KS)
        results += [_result(encoder, model, task, pair, k, accuracy[k], batch_size) for k in KS]
    return results


def _embed(encoder: SentenceEncoder, side: Side, language: str, batch_size: int) -> torch.Tensor:
    return encoder.encode(side.sentences, batch_size, description=f"embedding {language}")


def _result(
    encoder: SentenceEncoder, model: Model, task: str, pair: Pair, k: int, value: float, batch_size: int
) -> Result:
    return Result(
        model=model.name,
        model_path=model.path,
        model_sha256=model.sha256,
        task=task,
        source=pair.source,
        target=pair.target,
        seed=None,
        metric=f"top{k}",
        value=value,
        n=len(pair.queries.sentences),
        layer=encoder.layer,
        pool=encoder.pool,
        data_sha256=pair.data_sha256,
        config={
            "batch_size": batch_size,
            "max_length": encoder.max_length,
            "device": encoder.device.type,
            "torch": torch.__version__,
            "transformers": version("transformers"),
        },
        version=version("translit-ppa"),
    )
