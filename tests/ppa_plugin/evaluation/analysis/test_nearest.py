"""What counts as found, against loops in plain Python."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ppa_plugin.evaluation.analysis.nearest import Direction, equals, hits

# vectors of few values, so that there are ties, and texts of few, so that there are equal ones
SMALL = st.integers(1, 5)


@st.composite
def groups(draw):
    """Vectors of both sides at two layers, which belong together, and a text of each run."""
    one, other = draw(SMALL), draw(SMALL)
    vectors = [draw(arrays.arrays(np.float32, (2, n, 2), elements=st.sampled_from([-1, 1, 2]))) for n in (one, other)]
    links = draw(arrays.arrays(bool, (one, other)))
    texts = [draw(arrays.arrays(np.int64, n, elements=st.integers(0, 3))) for n in (one, other)]
    return vectors, links, texts


def neither(links, sources, targets, anchor, candidate) -> bool:
    """Whether a candidate that is not linked to the anchor has the text of one that is, or is linked to a twin."""
    right = [j for j in range(len(targets)) if links[anchor, j]]
    twins = [i for i in range(len(sources)) if sources[i] == sources[anchor]]
    like_a_right_one = any(targets[candidate] == targets[j] for j in right)
    return not links[anchor, candidate] and (like_a_right_one or any(links[i, candidate] for i in twins))


@given(groups())
def test_hits_and_chance_are_those_of_a_loop(group):
    (anchors, candidates), links, texts = group
    passed_over = equals(links, *texts)
    direction = Direction(torch.zeros(2, dtype=torch.float64))
    tensors = [torch.from_numpy(array) for array in (anchors, candidates, links, passed_over)]
    direction.add(*tensors)
    found, chance, runs = np.zeros(2), 0.0, 0
    for i in range(len(links)):
        right = [j for j in range(links.shape[1]) if links[i, j]]
        wrong = [j for j in range(links.shape[1]) if not links[i, j] and not neither(links, *texts, i, j)]
        if not right:
            continue
        runs += 1
        chance += len(right) / (len(right) + len(wrong))
        for layer in range(2):
            # the squared cosine with its sign, times the square of the anchor's length: no rounding
            rank = [_rank(anchors[layer, i], candidates[layer, j]) for j in range(links.shape[1])]
            found[layer] += max(rank[j] for j in right) > max((rank[j] for j in wrong), default=-np.inf)
    assert direction.runs == runs
    np.testing.assert_allclose(direction.chance, chance, rtol=1e-6)
    np.testing.assert_array_equal(direction.hits, found)


def _rank(one, other) -> float:
    product = int(one @ other)
    return product * abs(product) / int(other @ other)


@given(groups(), st.randoms(use_true_random=False))
def test_the_order_of_candidates_decides_nothing(group, random):
    (anchors, candidates), links, texts = group
    order = list(range(links.shape[1]))
    random.shuffle(order)
    passed_over = equals(links, *texts)
    before = hits(*map(torch.from_numpy, (anchors, candidates, links, passed_over)))
    shuffled = equals(links[:, order], texts[0], texts[1][order])
    np.testing.assert_array_equal(shuffled, passed_over[:, order])
    after = hits(*map(torch.from_numpy, (anchors, candidates[:, order], links[:, order], shuffled)))
    assert torch.equal(before, after)


def test_blocks_of_equal_text_on_either_side_are_no_candidates_and_ties_are_misses():
    links = np.eye(3, dtype=bool)
    # 0 and 1 share their source, 1 and 2 their target
    same = equals(links, np.array([7, 7, 8]), np.array([1, 2, 2]))
    assert same.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    vectors = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]]])
    none = torch.zeros(3, 3, dtype=torch.bool)
    own = torch.from_numpy(links)
    assert hits(vectors, vectors, own, none).tolist() == [[False, False, False]]
    assert hits(vectors, vectors, own, torch.from_numpy(same)).tolist() == [[False, True, False]]
