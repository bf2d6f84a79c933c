"""Which lines of evaluation data stand in a text: how lines are compared, and evaluation files of every shape."""
