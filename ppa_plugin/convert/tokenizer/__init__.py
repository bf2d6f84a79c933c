"""The tokenizer of a converted directory, equal to SentencePiece by construction and by probe."""
