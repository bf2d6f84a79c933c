"""Rows of bad input: flags and numbers."""

from bad_input import Row

ROWS = [
    Row("ppa-preprocess verify --output out --sample -1", "--sample: -1 is not a whole number"),
]
