"""A small model that can learn: the fully random one of conftest.py is far from where training starts."""

import shutil

import torch

from ppa_plugin.evaluation.encoder.loading import import_transformers


def make_learner(tiny_hf_directory, directory):
    """A Hugging Face directory: XLM-R of 2 x 16 as it is initialised, with the tiny model's tokenizer."""
    transformers = import_transformers()
    config = transformers.XLMRobertaConfig.from_pretrained(tiny_hf_directory)
    config.num_hidden_layers, config.initializer_range = 2, 0.1
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.05
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.XLMRobertaForMaskedLM(config).save_pretrained(directory)
    shutil.copyfile(tiny_hf_directory / "sentencepiece.bpe.model", directory / "sentencepiece.bpe.model")
    return directory
