"""The masked language model over packed tokens."""
