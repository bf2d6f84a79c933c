"""Where a batch is full: the one rule by which training, retrieval while training, and evaluation cut batches."""

from collections.abc import Iterator, Sequence

# pairs whose token blocks are one another's candidates, in training and in `ppa-evaluate tokens`
BLOCK_GROUP = 8


def bounded(
    lengths: Sequence[int], most: int | None = None, most_tokens: int | None = None, padded: bool = False
) -> Iterator[slice]:
    """Cut consecutive sequences of these lengths into batches; a batch takes one sequence, whatever its length.

    Args:
        lengths: tokens of each; without `most_tokens` nothing but their number counts.
        most: sequences a batch.
        most_tokens: tokens a batch.
        padded: padding counts as tokens: a batch of n has n times its longest one.

    Yields:
        The places of each batch, as a slice.
    """
    if not most_tokens:
        size = most or max(len(lengths), 1)
        yield from (slice(first, min(first + size, len(lengths))) for first in range(0, len(lengths), size))
        return
    start, stop, tokens, longest = 0, 0, 0, 0
    for length in lengths:
        tokens, longest = tokens + length, max(longest, length)
        count = stop - start
        taken = (count + 1) * longest if padded else tokens
        if count and ((most and count >= most) or taken > most_tokens):
            yield slice(start, stop)
            start, tokens, longest = stop, length, length
        stop += 1
    if stop > start:
        yield slice(start, stop)
