"""The settings of task and criterion, as fairseq and checkpoints know them; those of a term stand in its file."""

from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II, MISSING, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError

from ppa_plugin.commandline import Range, UserError, setting
from ppa_plugin.data.masking import STREAMS
from ppa_plugin.objectives import TERMS

# what task and criterion are registered as
NAME = "translit_alignment"
_SHARE = Range(0, 1)

# The flags of all terms, in the order of TERMS: of several bases a dataclass puts the last one's fields first.
_Terms = make_dataclass("_Terms", [], bases=tuple(term.flags for term in reversed(TERMS)))
# What the task has to know of them, before there is a criterion, follows the criterion's settings.
_Interpolated = make_dataclass(
    "_Interpolated",
    [
        (each.name, each.type, field(default=II(f"criterion.{each.name}")))
        for each in fields(_Terms)
        if any(each.name in term.decided_by for term in TERMS)
    ],
)


@dataclass
class TranslitAlignmentCriterionConfig(_Terms, FairseqDataclass):
    """The objective; the defaults are the paper's. A weight of 0 leaves the term and its computation out."""


@dataclass
class TranslitAlignmentConfig(_Interpolated, FairseqDataclass):
    """Where the pairs are and what is made of them; the defaults are the paper's."""

    data: str = setting(MISSING, "colon-separated list of shards made by ppa-preprocess, one an epoch")
    mask_prob: float = setting(0.15, "probability that a token is chosen for masked LM", _SHARE)
    mask_keep: float = setting(0.1, "share of the chosen tokens that stay as they are", _SHARE)
    mask_random: float = setting(0.1, "share of the chosen tokens that become a random one", _SHARE)
    max_positions: int = setting(
        512, "tokens of the longest sequence, specials included; longer ones are cut", Range(5, 1 << 20, whole=True)
    )
    sampling_alpha: float = setting(
        1.0, "language shares proportional to pairs ** alpha; 1 takes the data as it is", Range(0, 10)
    )
    batch_order: ChoiceEnum(["random", "length"]) = setting(
        "random", "micro-batches of random pairs, as in the paper, or of pairs of similar length"
    )
    tlm_truncation: ChoiceEnum(["both", "right"]) = setting(
        "both", "a TLM sequence that is too long loses tokens of both sides, or its end as in the released code"
    )
    shuffle_pairs: bool = setting(
        False, "a control: train on every sentence beside the romanization of another one of its language"
    )
    freeze_encoder: bool = setting(
        False, "train the masked-LM head alone, as a new one needs before the encoder is trained through it"
    )
    retrieval_data: Optional[str] = setting(
        None, "directory in Tatoeba's layout: every validation adds retrieval_top10, from English"
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
    batch_size: Optional[int] = II("dataset.batch_size")
    world_size: int = II("distributed_training.distributed_world_size")
    amp: bool = II("common.amp")
    seq_negatives: Optional[int] = II("criterion.seq_negatives")
    seq_ignore_duplicates: bool = II("criterion.seq_ignore_duplicates")
    tok_negatives: int = II("criterion.tok_negatives")
    ddp_backend: str = II("distributed_training.ddp_backend")
    finetune_from_model: Optional[str] = II("checkpoint.finetune_from_model")
    restore_file: str = II("checkpoint.restore_file")
    save_dir: str = II("checkpoint.save_dir")
    continue_once: Optional[str] = II("checkpoint.continue_once")


def fill_in_later_flags(cfg: Any) -> None:
    """Give the task's settings out of a checkpoint the defaults of flags that its run did not know.

    What they would follow, a flag of the criterion, is not in the checkpoint either.
    """
    defaults = {each.name: each.default for each in fields(TranslitAlignmentCriterionConfig)}
    shared = [each.name for each in fields(TranslitAlignmentConfig) if each.name in defaults]
    for name in shared if OmegaConf.is_config(cfg) else ():
        try:
            getattr(cfg, name, None)
        except InterpolationKeyError:
            with open_dict(cfg):
                cfg[name] = defaults[name]


def needed_streams(cfg: Any) -> tuple[str, ...]:
    """The streams that the enabled terms need, for the settings of task or criterion.

    Raises `UserError` where no term is enabled, or a flag of one cannot be.
    """
    needed = {stream for term in TERMS for stream in term.needed_streams(cfg)}
    if not needed:
        weights = [f"--{name.replace('_', '-')}" for term in TERMS for name in term.decided_by if "weight" in name]
        raise UserError(f"{', '.join(weights[:-1])} and {weights[-1]} are all 0: nothing to train")
    return tuple(stream for stream in STREAMS if stream in needed)
