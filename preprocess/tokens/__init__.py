"""From lines to binarized rows: SentencePiece, the split, the two binarizers, and the way back."""
