"""The task `translit_alignment`: binarized pairs of originals and romanizations, shard by shard."""

import logging
import os
from contextlib import nullcontext
from pathlib import Path

import torch
from fairseq import utils
from fairseq.data import ConcatDataset, Dictionary
from fairseq.logging import metrics
from fairseq.logging.meters import safe_round
from fairseq.tasks import FairseqTask, register_task
from omegaconf import OmegaConf, open_dict

from ppa_plugin import flag_ranges
from ppa_plugin.commandline import UserError, exit_on_user_error
from ppa_plugin.configuration import NAME, TranslitAlignmentConfig, fill_in_later_flags, needed_streams
from ppa_plugin.data.masking import SIDES, Masking
from ppa_plugin.data.paired_dataset import PairedDataset
from ppa_plugin.data.sampling import other_partners
from ppa_plugin.data.shards import find_beside, language_directories, load_blocks, load_pair
from ppa_plugin.data.tokenizer_file import TOKENIZER_JSON
from ppa_plugin.data.training_blocks import TrainingBlocks, lettered
from ppa_plugin.data.vocabulary import SENTENCEPIECE, load_dictionary
from ppa_plugin.files import check_file
from ppa_plugin.training.failure import end_run_on_failure
from ppa_plugin.training.peak import measure_peak
from ppa_plugin.training.retrieval_metric import RetrievalMetric
from ppa_plugin.training.starting_point import first_checkpoint, read_shape

logger = logging.getLogger(__name__)


@register_task(NAME, dataclass=TranslitAlignmentConfig)
class TranslitAlignmentTask(FairseqTask):
    """Post-training alignment on pairs of a sentence and its romanization."""

    def __init__(
        self,
        cfg: TranslitAlignmentConfig,
        dictionary: Dictionary,
        retrieval: RetrievalMetric | None = None,
        trains: bool = True,
    ):
        super().__init__(cfg)
        self.dictionary = dictionary
        self.retrieval = retrieval
        self.trains = trains
        self.retrieval_top10 = None
        self.peak_flops = None
        self.streams = needed_streams(cfg)
        self.model = None

    @classmethod
    @exit_on_user_error()
    def setup_task(cls, cfg: TranslitAlignmentConfig, **kwargs) -> "TranslitAlignmentTask":
        """Check the flags, load the one dictionary of all shards and the retrieval data.

        What `fairseq-validate` loads, `from_checkpoint`, has the flags of the run that wrote it: those that say how it
        started and what selected its checkpoints mean nothing then, and their files may be elsewhere.
        """
        fill_in_later_flags(cfg)
        _check_flags(cfg)
        trains = not kwargs.get("from_checkpoint", False)
        if trains:
            _check_training_flags(cfg)
        shards = [Path(shard) for shard in utils.split_paths(cfg.data)]
        dictionary = load_one_dictionary(shards, cfg.finetune_from_model if trains else None)
        logger.info("dictionary: %d entries", len(dictionary))
        retrieval = None
        if cfg.retrieval_data and trains:
            tokenizer = find_beside(shards[0], SENTENCEPIECE, TOKENIZER_JSON)
            if tokenizer is None:
                raise UserError(
                    f"--retrieval-data needs a {SENTENCEPIECE} or {TOKENIZER_JSON} in {shards[0]} or above it"
                )
            retrieval = RetrievalMetric(Path(cfg.retrieval_data), tokenizer, cfg.max_positions)
        return cls(cfg, dictionary, retrieval, trains)

    @property
    def model_depth(self) -> int:
        """Blocks of the model, which the criterion's `--seq-layer` depends on."""
        return self.model.depth

    @exit_on_user_error()
    def build_model(self, cfg, from_checkpoint: bool = False):
        """Build the model and remember it for the criterion."""
        self._follow_checkpoint(cfg, from_checkpoint)
        self.model = super().build_model(cfg, from_checkpoint)
        return self.model

    def _follow_checkpoint(self, cfg, from_checkpoint: bool) -> None:
        """Let the model follow the checkpoint that training starts from: its head, padding rows, what its family says.

        They are noted in the model's settings, which every checkpoint of the run keeps.
        """
        mine = self.cfg
        start = None
        if not from_checkpoint:
            start = first_checkpoint(mine.save_dir, mine.restore_file, mine.finetune_from_model, mine.continue_once)
        with open_dict(cfg) if OmegaConf.is_config(cfg) else nullcontext():
            for name, value in (read_shape(start) if start else {}).items():
                setattr(cfg, name, value)
        if getattr(cfg, "headless", False) and (mine.mlm_weight or mine.tlm_weight):
            raise UserError(
                f"{start or 'a model with --headless'} has no masked-LM head: give it one with ppa-convert to-fairseq "
                "--new-head, or train SEQ alone with --mlm-weight 0 --tlm-weight 0"
            )

    @exit_on_user_error()
    def build_criterion(self, cfg, from_checkpoint: bool = False):
        """Build the criterion, freeze what it gives no gradient, and say how many pairs contrast with one another."""
        criterion = super().build_criterion(cfg, from_checkpoint)
        if self.cfg.freeze_encoder and self.model is not None:
            self.model.freeze_encoder()
            logger.info("the masked-LM head alone is trained: the embeddings and blocks are frozen")
        elif not criterion.masked_streams and self.model is not None:
            top = max(criterion.layers)
            self.model.freeze_above(top)
            head = "" if self.model.encoder.lm_head is None else " and the head"
            logger.info("no masked LM: the blocks above layer %d%s are frozen", top, head)
        if cfg.seq_weight and self.cfg.batch_size:
            ranks, pairs = self.cfg.world_size, self.cfg.batch_size
            groups = groups_of(ranks * pairs, cfg.seq_negatives)
            logger.info("pairs per contrastive batch: %d x %d = %d%s", ranks, pairs, ranks * pairs, groups)
        return criterion

    @property
    def pairs_per_contrastive_batch(self) -> int | None:
        """W x b, or a group of them with --seq-negatives; None where --max-tokens alone decides."""
        groups = self.cfg.seq_negatives
        if not self.cfg.batch_size:
            return groups
        pairs = self.cfg.world_size * self.cfg.batch_size
        return min(pairs, groups) if groups else pairs

    def get_checkpoint_dict(self) -> dict:
        """What fairseq keeps for the task in a checkpoint, to compare when training resumes."""
        return {type(self).__name__: {"pairs_per_contrastive_batch": self.pairs_per_contrastive_batch}}

    def set_checkpoint_dict(self, state: dict) -> None:
        """Warn when the run that resumes contrasts another number of pairs than the one that wrote the checkpoint."""
        before, now = state.get("pairs_per_contrastive_batch"), self.pairs_per_contrastive_batch
        if self.cfg.seq_weight and before != now:
            logger.warning(
                "pairs per contrastive batch: %s in the checkpoint, %s now; SEQ is another task", before, now
            )

    @exit_on_user_error()
    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs) -> None:
        """Load a split: training data from the epoch's shard, validation data from the first, which alone has it."""
        shards = utils.split_paths(self.cfg.data)
        training = self.trains and split == self.cfg.train_subset
        shard = Path(shards[(epoch - 1) % len(shards)] if training else shards[0])
        self.datasets.pop(split, None)  # its memory is freed before the next shard's is taken
        directories = language_directories(shard, split)
        pairs = [load_pair(directory, split, self.dictionary) for directory in directories]
        cfg, sizes = self.cfg, tuple(len(pair["orig"]) for pair in pairs)
        self.datasets[split] = PairedDataset(
            *(ConcatDataset([pair[side] for pair in pairs]) for side in SIDES),
            Masking(len(self.dictionary), cfg.mask_prob, cfg.mask_keep, cfg.mask_random, self.dictionary.specials),
            self.streams,
            cfg.seed,
            cfg.max_positions,
            str(cfg.tlm_truncation),
            str(cfg.batch_order),
            sizes,
            cfg.sampling_alpha if training else 1.0,
            fixed=not training,
            hash_texts=bool(cfg.seq_weight and cfg.seq_ignore_duplicates),
            blocks=self._load_blocks(directories, split, pairs) if cfg.tok_weight else None,
            partners=other_partners(sizes, cfg.seed) if training and cfg.shuffle_pairs else None,
        )
        logger.info("%s: %d pairs of %d languages from %s", split, len(self.datasets[split]), len(pairs), shard)

    def _load_blocks(self, directories: list[Path], split: str, pairs: list[dict]) -> TrainingBlocks:
        """The token blocks of all languages; raises `UserError` where no pair has any."""
        found = [load_blocks(directory, split, pair) for directory, pair in zip(directories, pairs, strict=True)]
        if not sum(count for _, count in found):
            raise UserError(
                f"no pair of {split} in {directories[0].parent} has token blocks, on which --tok-weight trains: its "
                "romanizer does not say which characters became which; leave --tok-weight at 0"
            )
        rows = ConcatDataset([blocks for blocks, _ in found])
        return TrainingBlocks(rows, lettered(self.dictionary.symbols), self.cfg.tok_negatives)

    @exit_on_user_error()
    def get_batch_iterator(self, dataset, num_shards: int = 1, **kwargs):
        """As stock fairseq, with as many micro-batches as a multiple of the ranks, so that no rank gets a dummy one."""
        dataset.batch_count_multiple = num_shards
        if len(dataset) < num_shards:
            raise UserError(f"{len(dataset)} pairs cannot be shared among {num_shards} ranks; use fewer ranks")
        return super().get_batch_iterator(dataset, num_shards=num_shards, **kwargs)

    def train_step(self, *args, **kwargs):
        """As stock fairseq; a failure ends the run on all ranks."""
        with end_run_on_failure("a training step"):
            if self.peak_flops is None:
                self.peak_flops = self._measure_peak()
            return super().train_step(*args, **kwargs)

    def _measure_peak(self) -> float:
        weight = next(self.model.parameters())
        return self.cfg.world_size * measure_peak(weight.device, torch.float16 if self.cfg.amp else weight.dtype)

    def valid_step(self, *args, **kwargs):
        """As stock fairseq; a failure ends the run on all ranks."""
        with end_run_on_failure("validation"):
            return super().valid_step(*args, **kwargs)

    def begin_valid_epoch(self, epoch: int, model) -> None:
        """Measure retrieval on every rank alike, since every rank reads the metric that selects checkpoints."""
        if self.retrieval is not None:
            with end_run_on_failure("retrieval"):
                self.retrieval_top10 = self.retrieval(model)

    def reduce_metrics(self, logging_outputs, criterion) -> None:
        """Log the criterion's terms; in training `mfu`, the share of the machine's peak; in validation retrieval."""
        super().reduce_metrics(logging_outputs, criterion)
        if self.peak_flops is not None and criterion.training:
            metrics.log_derived("mfu", lambda meters: safe_round(meters["_flops_per_s"].avg / self.peak_flops, 3))
        if self.retrieval_top10 is not None and not criterion.training:
            metrics.log_scalar("retrieval_top10", self.retrieval_top10, round=4)

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


def load_one_dictionary(shards: list[Path], checkpoint: str | None) -> Dictionary:
    """The dictionary that all shards share with the checkpoint that training starts from.

    Raises `UserError` where a shard has none, or where two of them, or the one beside the checkpoint, differ.
    """
    paths = {}
    for shard in shards:
        path = find_beside(shard, "dict.txt")
        if path is None:
            raise UserError(
                f"no dict.txt in {shard} or above it; pass shards made by ppa-preprocess (data-bin/shard00:...)"
            )
        paths[path.resolve()] = path
        # what fairseq-preprocess leaves beside data that it binarized by hand: the dictionary it really used
        paths |= {path.resolve(): path for path in shard.glob("**/dict.orig.txt")}
    if checkpoint and (Path(checkpoint).parent / "dict.txt").is_file():
        path = Path(checkpoint).parent / "dict.txt"
        paths[path.resolve()] = path
    first, *others = paths.values()
    dictionary = load_dictionary(first)
    for other in others:
        symbols = load_dictionary(other).symbols
        if symbols != dictionary.symbols:
            raise UserError(
                f"{first} ({len(dictionary)} entries) and {other} ({len(symbols)} entries) differ: preprocess all "
                "shards with the SentencePiece model of the checkpoint"
            )
    return dictionary


def groups_of(pairs: int, negatives: int | None) -> str:
    """What the log adds to the pairs of a contrastive batch with --seq-negatives: these are an upper bound."""
    if negatives is None or pairs == negatives:
        return ""
    return f", in groups of {negatives}" if pairs > negatives else f", fewer than --seq-negatives {negatives}"


def _check_flags(cfg: TranslitAlignmentConfig) -> None:
    values = {name: getattr(cfg, name) for name in TranslitAlignmentConfig.__dataclass_fields__ if hasattr(cfg, name)}
    flag_ranges.check(values, flag_ranges.as_flag)
    needed_streams(cfg)
    if cfg.freeze_encoder and (cfg.seq_weight or not (cfg.mlm_weight or cfg.tlm_weight)):
        raise UserError(
            "--freeze-encoder trains the masked-LM head alone: give it --mlm-weight or --tlm-weight, and --seq-weight 0"
        )
    if cfg.shuffle_pairs and cfg.tok_weight:
        raise UserError(
            "--shuffle-pairs puts sentences beside romanizations that are not theirs, which have no token blocks in "
            "common: leave --tok-weight at 0"
        )
    if cfg.mask_keep + cfg.mask_random > 1:
        raise UserError(f"--mask-keep {cfg.mask_keep} and --mask-random {cfg.mask_random} add up to more than 1")


def _check_training_flags(cfg: TranslitAlignmentConfig) -> None:
    # fairseq would end in a traceback for the first and train from random weights for the second
    for flag, path in (("--finetune-from-model", cfg.finetune_from_model), ("--restore-file", cfg.restore_file)):
        if path and path != "checkpoint_last.pt":
            if not os.path.lexists(path):
                raise UserError(f"{flag} {path} does not exist")
            check_file(path, flag)
    if str(cfg.ddp_backend) == "fully_sharded":
        raise UserError(
            "--ddp-backend fully_sharded has not been shown to work with this plugin; use --zero-sharding os to share "
            "the optimizer state among ranks"
        )
