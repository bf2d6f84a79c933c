"""Top-k accuracy against a version in numpy, with ties and vectors that have no direction."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppa_plugin.evaluation.retrieval.top_k import NEVER, partner_ranks, top_k_accuracy


def brute_force(queries: np.ndarray, candidates: np.ndarray, k: int) -> float:
    """A loop over pairs, integer-valued vectors: cosines compare exactly as sign(dot) dot^2 / norms^2 fractions."""
    hits = 0
    for i, query in enumerate(queries):
        if not query.any() or not candidates[i].any():
            continue

        def score(j, query=query):
            if not candidates[j].any():
                return (-np.inf, 1)
            dot, squares = int(query @ candidates[j]), int(candidates[j] @ candidates[j])
            return (np.sign(dot) * dot * dot, squares)

        own = score(i)
        level = sum(score(j)[0] * own[1] >= own[0] * score(j)[1] for j in range(len(queries)) if j != i)
        hits += level < k
    return hits / len(queries)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_agrees_with_brute_force_where_many_are_tied(n, width, seed):
    generator = np.random.default_rng(seed)
    queries, candidates = generator.integers(-2, 3, (2, n, width))
    ours = top_k_accuracy(torch.tensor(queries).float(), torch.tensor(candidates).float(), ks=(1, 2, 5))
    assert ours == {k: pytest.approx(brute_force(queries, candidates, k)) for k in (1, 2, 5)}


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 24), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_agrees_with_numpy_where_some_are_zero_nan_or_alike(n, width, chunk, seed):
    generator = np.random.default_rng(seed)
    queries, candidates = generator.standard_normal((2, n, width)).astype(np.float32)
    candidates[generator.random(n) < 0.2] = candidates[0]  # the same bits: ties
    for matrix in (queries, candidates):
        matrix[generator.random(n) < 0.1] = 0
        matrix[generator.random(n) < 0.1, 0] = generator.choice([np.nan, np.inf])
    expected = []
    for i, query in enumerate(queries.astype(np.float64)):
        lengths = np.linalg.norm(candidates.astype(np.float64), axis=1)
        usable = np.isfinite(lengths) & (lengths > 0)
        if not (usable[i] and np.isfinite(query).all() and query.any()):
            expected.append(NEVER)
            continue
        cosine = candidates[usable].astype(np.float64) @ query / lengths[usable] / np.linalg.norm(query)
        own = cosine[np.flatnonzero(usable).tolist().index(i)]
        expected.append((cosine >= own - 1e-12).sum() - 1)
    ranks = partner_ranks(torch.tensor(queries), torch.tensor(candidates), chunk)
    assert ranks.tolist() == expected
    shares = {k: np.mean(np.array(expected) < k) for k in (1, 5, 10)}
    assert top_k_accuracy(torch.tensor(queries), torch.tensor(candidates)) == pytest.approx(shares)


def test_chunks_do_not_change_the_ranks():
    torch.manual_seed(0)
    queries, candidates = torch.randn(2, 97, 8)
    whole = partner_ranks(queries, candidates)
    assert torch.equal(whole, partner_ranks(queries, candidates, chunk=10))
    assert whole.dtype == torch.long


def test_the_same_vectors_are_found_and_scale_does_not_matter():
    vectors = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    assert top_k_accuracy(vectors, vectors * torch.rand(50, 1).add(0.1)) == {1: 1.0, 5: 1.0, 10: 1.0}
    assert top_k_accuracy(vectors, vectors.roll(1, 0), ks=(1,)) == {1: 0.0}


def test_vectors_all_alike_score_nothing():
    """A collapsed model: whatever bits the product of equal rows has, every candidate is level."""
    row = torch.randn(1, 301)
    assert top_k_accuracy(row.expand(257, -1), row.expand(257, -1)) == {1: 0.0, 5: 0.0, 10: 0.0}


def test_fewer_candidates_than_k_still_need_no_tie_with_all():
    assert top_k_accuracy(torch.eye(3), torch.eye(3), ks=(10,)) == {10: 1.0}


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_a_vector_without_direction_is_a_miss_and_takes_nobodys_place(bad):
    good = torch.eye(4)
    queries, candidates = good.clone(), good.clone()
    queries[0] = bad
    assert top_k_accuracy(queries, candidates, ks=(1, 4)) == {1: 0.75, 4: 0.75}
    candidates[1] = bad
    assert top_k_accuracy(queries, candidates, ks=(1, 4)) == {1: 0.5, 4: 0.5}
    assert partner_ranks(queries, candidates).tolist() == [NEVER, NEVER, 0, 0]
    assert top_k_accuracy(queries, candidates, ks=(100,)) == {100: 0.5}


class OnMPS(torch.Tensor):
    """Refuses FP64 and says that it is on MPS, as a tensor there does."""

    device = property(lambda self: torch.device("mps"))

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")

    def to(self, *arguments, **named):
        return self.double()

    def cpu(self):
        return torch.from_numpy(self.numpy())


def test_vectors_on_mps_are_ranked_on_the_cpu_with_the_same_ranks():
    queries, candidates = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(0))
    ranks = partner_ranks(queries.as_subclass(OnMPS), candidates.as_subclass(OnMPS))
    assert type(ranks) is torch.Tensor
    assert torch.equal(ranks, partner_ranks(queries, candidates))


def test_no_queries_and_other_shapes():
    assert top_k_accuracy(torch.empty(0, 4), torch.empty(0, 4)) == {1: 0.0, 5: 0.0, 10: 0.0}
    with pytest.raises(ValueError, match="N x C"):
        top_k_accuracy(torch.ones(2, 3), torch.ones(3, 3))
