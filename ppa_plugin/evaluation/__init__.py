"""Zero-shot transfer, measured on Hugging Face directories so that base and aligned models go through the same code."""
