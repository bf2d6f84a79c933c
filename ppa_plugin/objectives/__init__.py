"""The objective (arXiv 2406.19759): `TERMS` lists its terms, one file each; the functions here are those that train.

L = w_mlm (L_MLM(orig) + L_MLM(latn)) + w_seq L_SEQ + w_tlm L_TLM, and beyond the paper + w_tok L_TOK, off by default
"""

from ppa_plugin.objectives.contrastive import Contrastive, info_nce, info_nce_of_anchors, mean_pool, packed_mean_pool
from ppa_plugin.objectives.masked_lm import MaskedLM, masked_lm_loss
from ppa_plugin.objectives.term import Loss, Term
from ppa_plugin.objectives.token_alignment import TokenAlignment, block_distance, block_info_nce, block_vectors

# Flags, streams, losses and logged figures of a run are those of these, in this order; a term is added here.
TERMS: tuple[type[Term], ...] = (MaskedLM, Contrastive, TokenAlignment)

__all__ = [
    "TERMS",
    "Contrastive",
    "Loss",
    "MaskedLM",
    "Term",
    "TokenAlignment",
    "block_distance",
    "block_info_nce",
    "block_vectors",
    "info_nce",
    "info_nce_of_anchors",
    "masked_lm_loss",
    "mean_pool",
    "packed_mean_pool",
]
