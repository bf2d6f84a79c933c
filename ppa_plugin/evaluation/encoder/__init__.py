"""Sentences through a Hugging Face directory: loading it whole, tokens as SentencePiece gives them, vectors."""
