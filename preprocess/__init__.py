"""From raw text to binarized pairs: sample -> romanize -> encode -> binarize (installed as `ppa_preprocess`)."""
