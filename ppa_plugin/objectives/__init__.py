"""The objective (arXiv 2406.19759): `TERMS` lists its terms, one file each; the functions here are those that train.

L = w_mlm (L_MLM(orig) + L_MLM(latn)) + w_seq L_SEQ + w_tlm L_TLM
"""

from ppa_plugin.objectives.contrastive import Contrastive, info_nce, info_nce_of_anchors, mean_pool, packed_mean_pool
from ppa_plugin.objectives.masked_lm import MaskedLM, masked_lm_loss
from ppa_plugin.objectives.term import Loss, Term

# Flags, streams, losses and logged figures of a run are those of these, in this order; a term is added here.
TERMS: tuple[type[Term], ...] = (MaskedLM, Contrastive)

__all__ = [
    "TERMS",
    "Contrastive",
    "Loss",
    "MaskedLM",
    "Term",
    "info_nce",
    "info_nce_of_anchors",
    "masked_lm_loss",
    "mean_pool",
    "packed_mean_pool",
]
