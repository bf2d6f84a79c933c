"""AdamW as fairseq and the paper's evaluation have it, which is not torch's; `adamw.py` needs no fairseq."""
