"""Sentence retrieval as arithmetic on tensors (SR-B, SR-T of arXiv 2406.19759); imports torch only."""

from collections.abc import Sequence

import torch

# Products of the same two vectors may differ in the last bits with their place in the matrix; in FP64 such differences
# stay far below this, and differences between vectors that FP32 can tell apart stay above.
_TIE = 1e-12
# the rank of what cannot be ranked
NEVER = torch.iinfo(torch.long).max


def partner_ranks(queries: torch.Tensor, candidates: torch.Tensor, chunk: int = 1024) -> torch.Tensor:
    """How many wrong candidates stand before or level with the right one, by cosine; 0 = hit. (N, C), (N, C) -> (N,).

    Row i of one belongs to row i of the other. A vector of zeros, or with a value that is not finite, has no direction:
    as a query or as the right candidate it makes the rank `NEVER`, a miss at any k; as a wrong candidate it stands
    before none.
    Computed in FP64, `chunk` queries at a time, on the tensors' device; on the CPU for those on MPS, which has no FP64.
    """
    if queries.shape != candidates.shape or queries.dim() != 2:
        raise ValueError(f"expected two N x C matrices, got {tuple(queries.shape)} and {tuple(candidates.shape)}")
    queries, queries_valid = _directions(queries)
    candidates, candidates_valid = _directions(candidates)
    ranks = []
    for start in range(0, len(queries), chunk):
        similarity = queries[start : start + chunk] @ candidates.T
        own = similarity.diagonal(start)
        before = (similarity >= own[:, None] - _TIE) & candidates_valid
        ranks.append(before.sum(dim=1) - 1)  # the right one is level with itself
    counts = queries_valid & candidates_valid
    return torch.where(counts, torch.cat(ranks), NEVER) if ranks else counts.long()


def top_k_accuracy(queries: torch.Tensor, candidates: torch.Tensor, ks: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """The share of queries whose own candidate is among the first k by cosine similarity. (N, C), (N, C) -> {k: share}.

    Row i of one belongs to row i of the other. Ties count as misses: a wrong candidate as similar as the right one
    stands before it, so that a model whose vectors are all alike scores 0. Vectors without a direction: see
    `partner_ranks`. No queries at all give 0.
    """
    ranks = partner_ranks(queries, candidates)
    hits = (ranks < torch.tensor(ks, device=ranks.device)[:, None]).sum(dim=1)  # one transfer for all k
    return {k: hit / max(len(ranks), 1) for k, hit in zip(ks, hits.tolist(), strict=True)}


def _directions(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors in FP64 and which of them exist; the others become zeros. (N, C) -> (N, C), (N,) bool."""
    vectors = vectors.detach()
    if vectors.device.type == "mps":
        vectors = vectors.cpu()
    vectors = vectors.double()
    norms = vectors.norm(dim=1, keepdim=True)
    valid = torch.isfinite(norms) & (norms > 0)
    return torch.where(valid, vectors / norms, 0.0), valid[:, 0]
