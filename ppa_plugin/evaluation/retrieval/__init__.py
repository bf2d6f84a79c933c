"""Sentence retrieval: readers of parallel sets, embedding and ranking (SR-B, SR-T of arXiv 2406.19759)."""

from typing import Any

__all__ = ["top_k_accuracy"]


def __getattr__(name: str) -> Any:
    # on demand: it needs torch, which takes a second to import, and commands that only read files do not
    if name in __all__:
        from ppa_plugin.evaluation.retrieval import top_k

        return getattr(top_k, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
