"""How sentences are cut into batches for an encoder, and the choices that it gives; light, for the sake of --help."""

from collections.abc import Sequence

# A batch ends at whichever bound it meets first.
BATCH_SENTENCES = 64
BATCH_TOKENS = 4096
# of the tokens that a sentence vector is the mean of; the first is the default, as the paper evaluates
POOLS = ("all", "content")
# of an encoder's weights and products, by torch's names
PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def cut_batches(lengths: Sequence[int], max_sentences: int, max_tokens: int) -> list[list[int]]:
    """Indices in batches of like length, the longest first, so that memory that does not suffice shows at once.

    A batch holds at most `max_sentences`, and at most `max_tokens` positions with its padding or one sentence.
    """
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = lengths[batches[-1][0]] if batches else 0
        if not batches or len(batches[-1]) == max_sentences or (len(batches[-1]) + 1) * longest > max_tokens:
            batches.append([])
        batches[-1].append(i)
    return batches
