"""The task `translit_alignment`: binarized pairs of originals and romanizations, shard by shard."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from fairseq import utils
from fairseq.data import ConcatDataset, Dictionary, data_utils
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from ppa_plugin.commandline import UserError, exit_on_user_error
from ppa_plugin.criterion import SIDES, needed_streams
from ppa_plugin.data.masking import Masking
from ppa_plugin.data.paired_dataset import PairedDataset
from ppa_plugin.data.vocabulary import load_dictionary

logger = logging.getLogger(__name__)


@dataclass
class TranslitAlignmentConfig(FairseqDataclass):
    """Where the pairs are and what is made of them; the defaults are the paper's."""

    data: str = field(
        default=MISSING, metadata={"help": "colon-separated list of shards made by ppa-preprocess, one an epoch"}
    )
    mask_prob: float = field(default=0.15, metadata={"help": "probability that a token is chosen for masked LM"})
    mask_keep: float = field(default=0.1, metadata={"help": "share of the chosen tokens that stay as they are"})
    mask_random: float = field(default=0.1, metadata={"help": "share of the chosen tokens that become a random one"})
    max_positions: int = field(
        default=512, metadata={"help": "tokens of the longest sequence, specials included; longer ones are cut"}
    )
    batch_order: ChoiceEnum(["random", "length"]) = field(
        default="random",
        metadata={"help": "micro-batches of random pairs, as in the paper, or of pairs of similar length"},
    )
    tlm_truncation: ChoiceEnum(["both", "right"]) = field(
        default="both",
        metadata={
            "help": "a TLM sequence that is too long loses tokens of both sides, or its end as in the released code"
        },
    )
    seed: int = II("common.seed")
    mlm_weight: float = II("criterion.mlm_weight")
    mlm_sides: str = II("criterion.mlm_sides")
    seq_weight: float = II("criterion.seq_weight")
    tlm_weight: float = II("criterion.tlm_weight")
    batch_size: Optional[int] = II("dataset.batch_size")
    world_size: int = II("distributed_training.distributed_world_size")


@register_task("translit_alignment", dataclass=TranslitAlignmentConfig)
class TranslitAlignmentTask(FairseqTask):
    """Post-training alignment on pairs of a sentence and its romanization."""

    def __init__(self, cfg: TranslitAlignmentConfig, dictionary: Dictionary):
        super().__init__(cfg)
        self.dictionary = dictionary
        self.streams = needed_streams(cfg.mlm_weight, cfg.mlm_sides, cfg.seq_weight, cfg.tlm_weight)
        self.model_depth = None

    @classmethod
    @exit_on_user_error()
    def setup_task(cls, cfg: TranslitAlignmentConfig, **kwargs) -> "TranslitAlignmentTask":
        """Load the dictionary found in the first shard or above it."""
        for name in ("mask_prob", "mask_keep", "mask_random"):
            if not 0 <= getattr(cfg, name) <= 1:
                raise UserError(f"--{name.replace('_', '-')} {getattr(cfg, name)} is not between 0 and 1")
        if cfg.mask_keep + cfg.mask_random > 1:
            raise UserError(f"--mask-keep {cfg.mask_keep} and --mask-random {cfg.mask_random} add up to more than 1")
        dictionary = load_dictionary(find_beside(Path(utils.split_paths(cfg.data)[0]), "dict.txt"))
        logger.info("dictionary: %d entries", len(dictionary))
        return cls(cfg, dictionary)

    @exit_on_user_error()
    def build_model(self, cfg, from_checkpoint: bool = False):
        """Build the model and remember its depth, which the criterion's `--seq-layer` depends on."""
        model = super().build_model(cfg, from_checkpoint)
        self.model_depth = model.depth
        return model

    @exit_on_user_error()
    def build_criterion(self, cfg, from_checkpoint: bool = False):
        """Build the criterion and say how many pairs contrast with one another."""
        criterion = super().build_criterion(cfg, from_checkpoint)
        if cfg.seq_weight and self.cfg.batch_size:
            ranks, pairs = self.cfg.world_size, self.cfg.batch_size
            logger.info("pairs per contrastive batch: %d x %d = %d", ranks, pairs, ranks * pairs)
        return criterion

    @exit_on_user_error()
    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs) -> None:
        """Load a split: training data from the epoch's shard, validation data from the first, which alone has it."""
        shards = utils.split_paths(self.cfg.data)
        training = split == "train"
        shard = Path(shards[(epoch - 1) % len(shards)] if training else shards[0])
        sides = {side: [] for side in SIDES}
        for directory in language_directories(shard, split):
            pair = {side: _load_side(directory, split, side, self.dictionary) for side in SIDES}
            if len(pair["orig"]) != len(pair["latn"]):
                raise UserError(
                    f"{directory}: {split} has {len(pair['orig'])} original and {len(pair['latn'])} romanized "
                    "sentences; binarize it again"
                )
            for side in SIDES:
                sides[side].append(pair[side])
        cfg = self.cfg
        self.datasets[split] = PairedDataset(
            *(ConcatDataset(sides[side]) for side in SIDES),
            Masking(len(self.dictionary), cfg.mask_prob, cfg.mask_keep, cfg.mask_random),
            self.streams,
            cfg.seed,
            cfg.max_positions,
            str(cfg.tlm_truncation),
            str(cfg.batch_order),
            fixed=not training,
        )
        logger.info("%s: %d pairs of %d languages from %s", split, len(self.datasets[split]), len(sides["orig"]), shard)

    @exit_on_user_error()
    def get_batch_iterator(self, dataset, num_shards: int = 1, **kwargs):
        """As stock fairseq, with as many micro-batches as a multiple of the ranks, so that no rank gets a dummy one."""
        dataset.batch_count_multiple = num_shards
        if len(dataset) < num_shards:
            raise UserError(f"{len(dataset)} pairs cannot be shared among {num_shards} ranks; use fewer ranks")
        return super().get_batch_iterator(dataset, num_shards=num_shards, **kwargs)

    def max_positions(self) -> int:
        """Tokens of the longest sequence, specials included."""
        return self.cfg.max_positions

    @property
    def source_dictionary(self) -> Dictionary:
        """The one dictionary of both sides."""
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        """The one dictionary of both sides."""
        return self.dictionary


def find_beside(shard: Path, name: str) -> Path:
    """The file `name` in the shard or up to two levels above it; raises `UserError` where there is none."""
    for directory in (shard, *list(shard.resolve().parents)[:2]):
        if (directory / name).is_file():
            return directory / name
    raise UserError(f"no {name} in {shard} or above it; pass shards made by ppa-preprocess (data-bin/shard00:...)")


def language_directories(shard: Path, split: str) -> list[Path]:
    """The directories of a shard that hold a split: one a language, or the shard itself."""
    if not shard.is_dir():
        raise UserError(f"{shard} is not a directory; pass shards made by ppa-preprocess (data-bin/shard00:...)")
    candidates = [shard, *sorted(path for path in shard.iterdir() if path.is_dir())]
    found = [path for path in candidates if (path / f"{split}.orig-latn.orig.idx").is_file()]
    if not found:
        raise UserError(f"no {split}.orig-latn.orig.idx in {shard} or its language directories; run ppa-preprocess")
    return found


def _load_side(directory: Path, split: str, side: str, dictionary: Dictionary):
    """The memory-mapped sentences of one side of one language."""
    path = directory / f"{split}.orig-latn.{side}"
    dataset = data_utils.load_indexed_dataset(str(path), dictionary, dataset_impl="mmap")
    if dataset is None:
        raise UserError(f"{path}.bin and {path}.idx are not both there; run ppa-preprocess binarize again")
    return dataset
