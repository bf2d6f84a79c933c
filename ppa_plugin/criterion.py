"""The criterion `translit_alignment`: the terms of the objective from one forward, added up and logged."""

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.logging import metrics

from ppa_plugin.configuration import NAME, TranslitAlignmentCriterionConfig
from ppa_plugin.objectives import TERMS


@register_criterion(NAME, dataclass=TranslitAlignmentCriterionConfig)
class TranslitAlignmentCriterion(FairseqCriterion):
    """L = w_mlm (L_MLM(orig) + L_MLM(latn)) + w_seq L_SEQ + w_tlm L_TLM (arXiv 2406.19759, section 3) [+ w_tok L_TOK].

    One forward over the packed streams serves all terms. The loss returned is pairs x (sum of the means) and
    `sample_size` is the number of pairs, so that equal micro-batches give the mean of means that the paper used.
    """

    def __init__(self, cfg: TranslitAlignmentCriterionConfig, task):
        super().__init__(task)
        self.cfg = cfg
        every = [term(cfg, task.model_depth) for term in TERMS]
        self.terms = [term for term in every if term.streams]
        self.masked_streams = tuple(stream for term in self.terms for stream in term.masked_streams)
        self.layers = tuple(sorted({layer for term in self.terms for layer in term.layers}))

    def forward(self, model, sample, reduce=True):
        """One micro-batch, as `ppa_plugin.data.batch.collate` makes it -> (loss, pairs, logging output)."""
        pairs = sample["nsentences"]
        rows = [sample["masked"][stream]["rows"] for stream in self.masked_streams]
        output = model(**sample["net_input"], head_rows=torch.cat(rows) if rows else None, layers=self.layers)
        log = {
            "nsentences": pairs,
            "ntokens": sample["ntokens"],
            "masked": sum(len(r) for r in rows),
            # the share of padding, weighted by tokens so that it sums across ranks
            "padding": output.padding * sample["ntokens"],
            "flops": output.flops,
            "sample_size": pairs,
        }
        total = output.weight.new_zeros((), dtype=torch.float32)
        for term in self.terms:
            for loss in term.losses(output, sample):
                total = total + loss.weight * loss.mean
                figures = {loss.name: loss.mean.detach()} | loss.figures
                log |= {name: figure * pairs for name, figure in figures.items()}
        total = total * pairs
        log["loss"] = total.detach()
        return total, pairs, log

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Log every term as the pair-weighted mean of its micro-batch means, exact across ranks, in nats."""
        totals = {key: sum(log.get(key, 0) for log in logging_outputs) for key in logging_outputs[0]}
        pairs, tokens = totals["nsentences"], totals["ntokens"]
        over = {name: other for term in TERMS for name, other in getattr(term, "logged_over", {}).items()}
        for key in ("loss", *(name for term in TERMS for name in term.logged)):
            count = totals[over[key]] if key in totals and key in over else pairs
            if key in totals and count:
                metrics.log_scalar(key, totals[key] / count, count, round=3)
        metrics.log_scalar("masked", totals["masked"], round=0)
        metrics.log_scalar("tokens", tokens, round=0)
        metrics.log_scalar("padding", totals["padding"] / tokens, tokens, round=3)
        metrics.log_speed("pairs_per_s", pairs, round=1)
        metrics.log_speed("tokens_per_s", tokens, round=0)
        metrics.log_speed("_flops_per_s", totals["flops"])  # for the task's mfu; fairseq prints no _names

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Every logged figure is a sum over pairs or tokens."""
        return True
