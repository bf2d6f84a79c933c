"""Which layer stands for a sentence, in training and in evaluation alike."""


def default_layer(depth: int) -> int:
    """The layer that the paper uses: 8 of 12 blocks, and round(2/3 of the depth) of any other number."""
    return 8 if depth == 12 else round(2 * depth / 3)
