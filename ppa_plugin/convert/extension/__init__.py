"""`ppa-convert extend`: more sub-words for a model, from romanized text."""
