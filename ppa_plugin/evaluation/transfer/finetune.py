"""Fine-tuning an encoder with a fresh head on one source language, and predicting with its best checkpoint."""

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.evaluation.encoder.batches import PRECISIONS
from ppa_plugin.evaluation.encoder.loading import TOKENIZER_FILES, import_transformers, load, load_network
from ppa_plugin.evaluation.tasks import Recipe
from ppa_plugin.files import directory_beside, open_weights
from ppa_plugin.optim.adamw import FusedAdamW

IGNORED = -100  # what cross-entropy leaves out, as in Transformers
_EVALUATION_BATCH = 64
_NOT_DECAYED = ("bias", "LayerNorm.weight", "layer_norm.weight", "norm.weight")


@dataclass(frozen=True)
class Example:
    """Token ids with the special ones, and a class, or a label for each token (IGNORED: none).

    `sentence` is the index of the sentence that it is, or is a part of.
    """

    token_ids: list[int]
    labels: int | list[int]
    sentence: int


@dataclass(frozen=True)
class Best:
    """The highest dev score, the first of equals: in which epoch (from 1) and after how many updates."""

    epoch: int
    step: int
    score: float
    epochs_run: int


@contextmanager
def drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """In the block, torch draws from `seed` (the head, dropout); afterwards it goes on as if nothing had been drawn."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def load_with_head(directory: Path, auto_class: str, labels: Sequence[str]) -> torch.nn.Module:
    """The encoder of a Hugging Face directory under a head for `labels`, drawn from torch's generator, in FP32.

    Raises `UserError` where the directory has a trained head already, for other labels or in another shape too, or
    weights that are not those of its encoder, see `load_network`. A head under another name, a masked LM's or one for
    question answering, is left out.
    """
    config = load(
        import_transformers().AutoConfig,
        directory,
        "config.json",
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type="single_label_classification",
    )
    network, info = load_network(auto_class, directory, config)
    base = network.base_model_prefix + "."
    head = {name for name, _ in network.named_parameters() if not name.startswith(base)}
    places = {name.split(".")[0] for name in head}
    found = (head - set(info["missing_keys"])) | {n for n in info["unexpected_keys"] if n.split(".")[0] in places}
    if found:
        raise UserError(f"{directory} has a trained head already; pass the encoder that it was made from")
    return network.float()


def fine_tune(
    network: torch.nn.Module,
    examples: Sequence[Example],
    recipe: Recipe,
    seed: int,
    pad_id: int,
    dev_score: Callable[[], float],
    say: Callable[[int, float, float, bool, int], None],
) -> Best:
    """Train, and leave in `network` the parameters with the best dev score.

    Batches are drawn at random from a generator of their own. At each dev score `say` is told the epoch, the mean
    loss since the last one, the score, whether that is the best so far, and the number of updates. Raises `UserError`
    where the loss is no longer a number.
    """
    trainer = _Trainer(network, recipe, len(examples))
    best, state = Best(0, 0, -1.0, 0), {}
    for epoch, loss in trainer.evaluations(examples, seed, pad_id):
        score = dev_score()
        if better := score > best.score:
            best = Best(epoch, trainer.done, score, epoch)
            state = {name: tensor.to("cpu", copy=True) for name, tensor in network.state_dict().items()}
        say(epoch, loss, score, better, trainer.done)
        if recipe.patience is not None and trainer.done - best.step >= recipe.patience * trainer.per_epoch:
            break
    network.load_state_dict(state)
    return replace(best, epochs_run=epoch)


@torch.inference_mode()
def predict(network: torch.nn.Module, examples: Sequence[Example], pad_id: int, precision: str) -> list:
    """The label of the highest logit of each example, or of each of its tokens, in the examples' order.

    Batches are sorted by length, so that little is spent on padding. Raises `UserError` where a logit is not finite.
    """
    network.eval()
    device = next(network.parameters()).device
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i].token_ids), i))
    predicted: list = [None] * len(examples)
    batches = [order[i : i + _EVALUATION_BATCH] for i in range(0, len(order), _EVALUATION_BATCH)]
    for batch in progress(batches, "testing", total=len(batches), unit="step"):
        chosen = [examples[i] for i in batch]
        with autocast(device, precision):
            logits = network(**_inputs(chosen, pad_id, device)).logits
        if not torch.isfinite(logits).all():
            raise UserError(f"logits of the fine-tuned model are not finite in {precision}; pass another --precision")
        for i, best in zip(batch, logits.argmax(dim=-1).tolist(), strict=True):
            predicted[i] = best if isinstance(best, int) else best[: len(examples[i].token_ids)]
    return predicted


def save(network: torch.nn.Module, encoder: Path, path: Path) -> None:
    """Write network, config and the tokenizer of `encoder` to the directory `path`, as safetensors, whole or not."""
    with directory_beside(path) as fresh:
        network.save_pretrained(fresh)
        open_weights(fresh)
        # copied: save_pretrained of today's tokenizers leaves the SentencePiece model out
        for name in TOKENIZER_FILES:
            if (encoder / name).is_file():
                shutil.copyfile(encoder / name, fresh / name)


def precision_on(recipe: Recipe, device: torch.device) -> str:
    """The recipe's precision on that device. Raises `UserError` for fp16 where there is no CUDA."""
    if recipe.precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if recipe.precision == "fp16" and device.type != "cuda":
        raise UserError(f"--precision fp16 needs a CUDA device, not {device.type}; use bf16 or fp32")
    return recipe.precision


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Mixed precision on that device, or nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, PRECISIONS[precision]))


class _Trainer:
    """AdamW with the learning rate rising over the warm-up and falling linearly to 0 at the last update."""

    def __init__(self, network: torch.nn.Module, recipe: Recipe, count: int):
        """For `count` examples. Of fewer batches than an update is of, an epoch makes one update."""
        self.network, self.recipe, self.done = network, recipe, 0
        batches = math.ceil(count / recipe.batch_size)
        self.accumulation = min(recipe.accumulation, batches)
        self.per_epoch = (math.ceil if recipe.leftover == "step" else math.floor)(batches / self.accumulation)
        self.updates = recipe.epochs * self.per_epoch
        self.device = next(network.parameters()).device
        self.precision = precision_on(recipe, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        named = list(network.named_parameters())
        exempt = {name for name, _ in named if any(part in name for part in _NOT_DECAYED)}
        groups = [
            {"params": [p for name, p in named if name not in exempt], "weight_decay": recipe.weight_decay},
            {"params": [p for name, p in named if name in exempt], "weight_decay": 0.0},
        ]
        kind = FusedAdamW if recipe.optim == "adamw_hf" else torch.optim.AdamW
        self.optimizer = kind(groups, lr=recipe.learning_rate, eps=recipe.adam_eps)

    def evaluations(self, examples: Sequence[Example], seed: int, pad_id: int) -> Iterator[tuple[int, float]]:
        """Train, and stop wherever a dev score is due: in which epoch, and the mean loss since the last stop."""
        shuffling = torch.Generator().manual_seed(seed)
        every, last, losses = self.recipe.eval_steps, self.recipe.epochs, []
        for epoch in range(1, last + 1):
            order = torch.randperm(len(examples), generator=shuffling).tolist()
            cuts = range(0, len(order), self.recipe.batch_size)
            batches = [[examples[i] for i in order[cut : cut + self.recipe.batch_size]] for cut in cuts]
            for loss, updated in self._epoch(batches, pad_id):
                losses.append(loss)
                if every and updated and self.done % every == 0:
                    yield epoch, _mean(losses, epoch, self.recipe)
                    losses = []
            if every is None or (epoch == last and self.done % every):
                yield epoch, _mean(losses, epoch, self.recipe)
                losses = []
            elif losses:
                _mean(losses, epoch, self.recipe)

    def _epoch(self, batches: list[list[Example]], pad_id: int) -> Iterator[tuple[torch.Tensor, bool]]:
        """Train on every batch once: the loss of each, and whether an update followed.

        What is left after the last full group of `accumulation` batches makes an update of its own, or, as in the
        released code for tagging, leaves its gradient to the first update of the next epoch; that of the last is lost.
        """
        size, whole = self.accumulation, len(batches) // self.accumulation * self.accumulation
        carry = self.recipe.leftover == "carry"
        for number, batch in enumerate(progress(batches, "training", total=len(batches), unit="step"), 1):
            self.network.train()  # a dev score may have come between
            group = size if carry or number <= whole else len(batches) - whole
            with autocast(self.device, self.precision):
                loss = self.network(**_inputs(batch, pad_id, self.device), labels=_labels(batch, self.device)).loss
            self.scaler.scale(loss / group).backward()
            updated = number % size == 0 or (number == len(batches) and not carry)
            if updated:
                self._update()
            yield loss.detach(), updated

    def _update(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * self._share()
        if self.recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1

    def _share(self) -> float:
        """Of the learning rate, at the update that comes next."""
        if self.done < self.recipe.warmup:
            return self.done / self.recipe.warmup
        return max(0.0, (self.updates - self.done) / max(1, self.updates - self.recipe.warmup))


def _mean(losses: list[torch.Tensor], epoch: int, recipe: Recipe) -> float:
    mean = torch.stack(losses).mean().item()
    if not math.isfinite(mean):
        raise UserError(f"the loss of epoch {epoch} is {mean}; a lower --learning-rate than {recipe.learning_rate}")
    return mean


def _inputs(examples: list[Example], pad_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """B examples -> B x T ids and attention mask, T the longest."""
    rows = [torch.tensor(example.token_ids, dtype=torch.long) for example in examples]
    ids = pad_sequence(rows, batch_first=True, padding_value=pad_id)
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def _labels(examples: list[Example], device: torch.device) -> torch.Tensor:
    """B classes, or B x T labels."""
    labels = [torch.tensor(example.labels) for example in examples]
    padded = pad_sequence(labels, batch_first=True, padding_value=IGNORED) if labels[0].ndim else torch.stack(labels)
    return padded.to(device)
