"""How sentences are cut into batches for an encoder, and the choices that it gives; light, for the sake of --help."""

from collections.abc import Sequence

from ppa_plugin.data.bounds import bounded

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
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    return [order[batch] for batch in bounded([lengths[i] for i in order], max_sentences, max_tokens, padded=True)]
