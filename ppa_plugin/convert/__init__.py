"""Hugging Face <-> fairseq: one table of parameter names for both directions."""
