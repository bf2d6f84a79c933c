"""`ppa-convert extend`: more sub-words for a model, for romanized text."""
