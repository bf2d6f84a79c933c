"""The criterion `translit_alignment`: wires the objectives of PPA and logs each of them."""

import logging
from dataclasses import dataclass, field
from typing import Optional

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from ppa_plugin.commandline import UserError
from ppa_plugin.data.shards import SIDES
from ppa_plugin.distributed import gather_rows, rank_and_world
from ppa_plugin.layers import default_layer
from ppa_plugin.model.linear_cross_entropy import linear_cross_entropy
from ppa_plugin.objectives import info_nce_of_anchors, packed_mean_pool, pairs_with_equal_texts

logger = logging.getLogger(__name__)


@dataclass
class TranslitAlignmentCriterionConfig(FairseqDataclass):
    """The objective; the defaults are the paper's. A weight of 0 leaves the term and its computation out."""

    mlm_weight: float = field(default=1.0, metadata={"help": "weight of masked LM on each side; 0 leaves it out"})
    mlm_sides: str = field(
        default="orig,latn", metadata={"help": "sides with a masked LM term: orig,latn or one of them"}
    )
    seq_weight: float = field(default=1.0, metadata={"help": "weight of the contrastive term; 0 leaves it out"})
    tlm_weight: float = field(
        default=1.0, metadata={"help": "weight of masked LM on the concatenated pair; 0 leaves it out"}
    )
    seq_layer: Optional[int] = field(
        default=None,
        metadata={"help": "block whose output is pooled for SEQ (default: 8 of 12, else two thirds of the depth)"},
    )
    seq_temperature: float = field(default=1.0, metadata={"help": "divides the similarities of SEQ"})
    seq_negatives: Optional[int] = field(
        default=None,
        metadata={
            "help": "contrast the pairs of all ranks, in rank order, in consecutive groups of this many (default: all)"
        },
    )
    seq_ignore_duplicates: bool = field(
        default=False,
        metadata={"help": "do not contrast pairs that have a text in common: equal tokens on either side"},
    )
    seq_pooling: ChoiceEnum(["mean", "cls"]) = field(
        default="mean", metadata={"help": "sentence vector: mean over tokens that are not special, or that of <s>"}
    )
    seq_similarity: ChoiceEnum(["dot", "cosine"]) = field(
        default="dot", metadata={"help": "similarity of sentence vectors"}
    )
    seq_gather: ChoiceEnum(["exact", "detached"]) = field(
        default="exact",
        metadata={
            "help": "candidates come from all ranks; exact: with their gradients, so that W ranks train as one; "
            "detached: without, as in the released code, whose gradient is 1/W of the true one"
        },
    )


def parse_sides(text: str) -> tuple[str, ...]:
    """The sides named by `--mlm-sides`, in the order of `SIDES`; raises `UserError` for anything else."""
    named = text.split(",")
    if not set(named) <= set(SIDES):
        raise UserError(f"--mlm-sides {text}: the sides are orig and latn, separated by a comma")
    return tuple(side for side in SIDES if side in named)


def needed_streams(mlm_weight: float, mlm_sides: str, seq_weight: float, tlm_weight: float) -> tuple[str, ...]:
    """The streams that the enabled terms need; raises `UserError` where no term is enabled."""
    sides = parse_sides(mlm_sides) if mlm_weight else ()
    streams = SIDES if seq_weight else sides
    streams = (*streams, "tlm") if tlm_weight else tuple(streams)
    if not streams:
        raise UserError("--mlm-weight, --seq-weight and --tlm-weight are all 0: nothing to train")
    return streams


@register_criterion("translit_alignment", dataclass=TranslitAlignmentCriterionConfig)
class TranslitAlignmentCriterion(FairseqCriterion):
    """L = w_mlm (L_MLM(orig) + L_MLM(latn)) + w_seq L_SEQ + w_tlm L_TLM (arXiv 2406.19759, section 3).

    One forward over the packed streams serves all terms. The loss returned is pairs x (sum of the means) and
    `sample_size` is the number of pairs, so that equal micro-batches give the mean of means that the paper used.
    """

    def __init__(self, cfg: TranslitAlignmentCriterionConfig, task):
        super().__init__(task)
        self.cfg = cfg
        self.weights = {side: cfg.mlm_weight for side in parse_sides(cfg.mlm_sides) if cfg.mlm_weight}
        if cfg.tlm_weight:
            self.weights["tlm"] = cfg.tlm_weight
        self.seq_layer = None
        if cfg.seq_weight:
            self.seq_layer = default_layer(task.model_depth) if cfg.seq_layer is None else cfg.seq_layer
            if not 0 <= self.seq_layer <= task.model_depth:
                raise UserError(f"--seq-layer {self.seq_layer} is beyond the model's depth, {task.model_depth} blocks")
            if cfg.seq_negatives is not None and cfg.seq_negatives < 2:
                raise UserError(f"--seq-negatives {cfg.seq_negatives}: a pair needs another one to contrast with")
            logger.info("SEQ pools the output of layer %d of %d", self.seq_layer, task.model_depth)

    def forward(self, model, sample, reduce=True):
        """One micro-batch, as `ppa_plugin.data.batch.collate` makes it -> (loss, pairs, logging output)."""
        pairs = sample["nsentences"]
        rows = [sample["masked"][stream]["rows"] for stream in self.weights]
        output = model(**sample["net_input"], head_rows=torch.cat(rows) if rows else None, seq_layer=self.seq_layer)
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
        for stream, loss in self._masked_lm(output, sample).items():
            total = total + self.weights[stream] * loss
            log["tlm" if stream == "tlm" else f"mlm_{stream}"] = loss.detach() * pairs
        if self.cfg.seq_weight:
            loss, figures = self._contrast(output.layer, sample)
            total = total + self.cfg.seq_weight * loss
            log |= {name: figure * pairs for name, figure in ({"seq": loss.detach()} | figures).items()}
        total = total * pairs
        log["loss"] = total.detach()
        return total, pairs, log

    def _masked_lm(self, output, sample) -> dict[str, Tensor]:
        """The mean cross-entropy of each stream that has a masked LM term."""
        targets = {stream: sample["masked"][stream]["targets"] for stream in self.weights}
        if not targets:
            return {}
        # one pass over the vocabulary for all of them
        losses = linear_cross_entropy(
            output.head,
            torch.cat(list(targets.values())),
            output.weight,
            output.bias,
            [len(t) for t in targets.values()],
            output.tied,
            output.entries,
        )
        return dict(zip(targets, losses.unbind(), strict=True))

    def _contrast(self, hidden: Tensor, sample) -> tuple[Tensor, dict[str, Tensor]]:
        """SEQ of this rank's anchors against the candidates of all ranks, and what is logged with it.

        `seq_acc` is how often the partner ranks first; `seq_equal`, with --seq-ignore-duplicates, the number of other
        pairs with a text in common, which are no negatives.
        """
        vectors = self._sentence_vectors(hidden, sample)
        orig, latn = (vectors.index_select(0, sample["sequence"][side]) for side in SIDES)
        most, pairs = sample["most_pairs"], torch.arange(len(orig), device=orig.device)
        differentiable = self.cfg.seq_gather == "exact"
        gathered, real = gather_rows(torch.cat([orig, latn], dim=1), most, differentiable)
        all_orig, all_latn = gathered.chunk(2, dim=1)
        own = pairs + rank_and_world()[0] * most
        anchors = torch.cat([orig, latn])
        if real is not None and not differentiable:
            # as released: every rank takes the mean over all anchors, and only its own rows carry a gradient
            own = real.nonzero().squeeze(1)
            anchors = torch.cat([all_orig[own], all_latn[own]])
        equal, figures = None, {}
        if self.cfg.seq_ignore_duplicates:
            # integers, which a float would not hold, so they travel apart from the vectors
            texts = gather_rows(sample["texts"], most, differentiable=False)[0]
            equal = pairs_with_equal_texts(texts[own], texts)
            others = equal if real is None else equal & real
            figures["seq_equal"] = others.sum(1).float().mean() - 1  # without the pair itself
        loss, figures["seq_acc"] = info_nce_of_anchors(
            anchors, all_orig, all_latn, own, real, self.cfg.seq_negatives, self.cfg.seq_temperature, equal
        )
        return loss, figures

    def _sentence_vectors(self, hidden: Tensor, sample) -> Tensor:
        """(T, C) -> (S, C) in FP32, normalised where the similarity is the cosine."""
        starts = sample["net_input"]["cu_seqlens"][:-1]
        if self.cfg.seq_pooling == "cls":
            vectors = hidden.index_select(0, starts).float()
        else:
            vectors = packed_mean_pool(hidden, sample["content"], sample["content_sequence"], len(starts))
        return F.normalize(vectors, dim=1) if self.cfg.seq_similarity == "cosine" else vectors

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Log every term as the pair-weighted mean of its micro-batch means, exact across ranks, in nats."""
        totals = {key: sum(log.get(key, 0) for log in logging_outputs) for key in logging_outputs[0]}
        pairs, tokens = totals["nsentences"], totals["ntokens"]
        for key in ("loss", "mlm_orig", "mlm_latn", "seq", "tlm", "seq_acc", "seq_equal"):
            if key in totals:
                metrics.log_scalar(key, totals[key] / pairs, pairs, round=3)
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
