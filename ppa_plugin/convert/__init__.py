"""Hugging Face <-> fairseq: one table of parameter names for both directions, bit-exact there and back."""
