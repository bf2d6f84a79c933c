"""Sentence vectors from the layers of any Hugging Face encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import embedding_bag
from torch.nn.utils.rnn import pad_sequence

from ppa_plugin.commandline import UserError, progress
from ppa_plugin.evaluation.encoder import loading
from ppa_plugin.evaluation.encoder.batches import BATCH_SENTENCES, BATCH_TOKENS, POOLS, PRECISIONS, cut_batches
from ppa_plugin.model.sizes import default_layer

# The paper's; a longer sentence is cut, in a model that takes more tokens too.
MAX_LENGTH = 512
# Encoders whose output is the last block's and nothing more, and where their blocks are: those above the layer that is
# asked for can stay out.
_POST_NORM = {**dict.fromkeys(("bert", "roberta", "xlm-roberta"), "encoder.layer"), "gte": "layers"}


class SentenceEncoder:
    """Means over tokens of `hidden_states[k]`; layer 0 is the embeddings, layer k the output of block k.

    `layer` is one layer, several, or "all"; None is the default of the depth. One pass gives all that were asked for,
    and blocks above the highest of them are not computed. `pool` is `all`, every token with `<s>` and `</s>`, as the
    paper's evaluation does, or `content`, without the tokens that the tokenizer adds. `precision` is that of the
    model's weights and products, on CUDA; the means over tokens are FP32 in any case.
    Raises `UserError` where the directory holds no encoder or tokenizer that Transformers loads, the encoder is not
    whole and finite in all its layers, the tokenizer has more ids than it, the model has no such layer, or half
    precision is asked for elsewhere than on CUDA.
    """

    def __init__(
        self,
        directory: str | Path,
        layer: int | Sequence[int] | str | None = None,
        pool: str = POOLS[0],
        device: str = "cpu",
        precision: str = "fp32",
    ):
        self.directory, self.device = Path(directory), loading.available_device(device)
        self.pool, self.precision = pool, precision
        if precision != "fp32" and self.device.type != "cuda":
            raise UserError(f"--precision {precision} needs --device cuda; on {device} leave it at fp32")
        config = loading.load(loading.import_transformers().AutoConfig, self.directory, "config.json")
        self.depth = depth = getattr(config, "num_hidden_layers", None)
        if depth is None:
            raise UserError(
                f"{directory} is a {config.model_type} model; only encoders with hidden layers can be evaluated"
            )
        self.layers = self.chosen(layer)
        self.tokenizer = loading.load_tokenizer(self.directory)
        cut = _POST_NORM.get(config.model_type)
        options = {"add_pooling_layer": False} if cut else {}
        model, _ = loading.load_network("AutoModel", self.directory, config, **options)
        plain = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        # not by their names: which of them a tokenizer calls cls and sep, and whether any, differs
        self._added = [token_id for token_id in self.tokenizer("a")["input_ids"] if token_id not in plain]
        loading.check_ids(self.tokenizer, model.get_input_embeddings().num_embeddings, self.directory)
        if cut:
            model.config.num_hidden_layers = blocks = max(*self.layers, 1)
            model.set_submodule(cut, model.get_submodule(cut)[:blocks])
        self.model = model.to(self.device, getattr(torch, PRECISIONS[precision])).eval()
        self.max_length = min(MAX_LENGTH, self.tokenizer.model_max_length, loading.positions(config))

    @property
    def layer(self) -> int:
        """The layer asked for. Raises `ValueError` where there are several: `layers` names them."""
        if len(self.layers) > 1:
            raise ValueError(f"{len(self.layers)} layers were asked for: {self.layers}")
        return self.layers[0]

    def chosen(self, layer: int | Sequence[int] | str | None) -> tuple[int, ...]:
        """The layers that `layer` asks for, see the class, in its order. Raises `UserError` for one that is none."""
        if layer is None:
            layer = default_layer(self.depth)
        chosen = range(self.depth + 1) if layer == "all" else [layer] if isinstance(layer, int) else layer
        absent = [k for k in chosen if not 0 <= k <= self.depth]
        if absent:
            raise UserError(f"{self.directory} has {self.depth} layers, there is no layer {absent[0]}")
        return tuple(dict.fromkeys(chosen))

    def encode(
        self, sentences: Sequence[str], batch_size: int = BATCH_SENTENCES, max_tokens: int = BATCH_TOKENS
    ) -> torch.Tensor:
        """The vectors of `sentences` at the one layer asked for, in their order: N x C float32 on the CPU."""
        place = self.layers.index(self.layer)  # several layers do not fit one matrix
        return self.encode_layers(sentences, batch_size, max_tokens=max_tokens)[place].cpu()

    @torch.inference_mode()
    def encode_layers(
        self,
        sentences: Sequence[str],
        batch_size: int = BATCH_SENTENCES,
        description: str = "embedding",
        max_tokens: int = BATCH_TOKENS,
    ) -> torch.Tensor:
        """The vectors of `sentences`, in their order, at each of `layers`: L x N x C float32 on the model's device.

        Batches hold sentences of like length, so that little is spent on padding, and at most `batch_size` sentences or
        `max_tokens` tokens with padding, so that they cost alike. A sentence that occurs twice is embedded once, so
        that its vectors are the same to the last bit. Longer sentences are cut to `max_length` tokens.
        Raises `UserError` where a vector is not finite.
        """
        unique = list(dict.fromkeys(sentences))
        token_ids = self.tokenizer(unique, truncation=True, max_length=self.max_length)["input_ids"]
        batches = cut_batches([len(ids) for ids in token_ids], batch_size, max_tokens)
        vectors = torch.empty(len(self.layers), len(unique), self.model.config.hidden_size, device=self.device)
        for batch in progress(batches, description, total=len(batches), unit="batch"):
            rows = torch.tensor(batch, device=self.device)
            vectors[:, rows] = self._vectors([token_ids[i] for i in batch])
        self._check_finite(vectors)
        place = {sentence: i for i, sentence in enumerate(unique)}
        return vectors[:, torch.tensor([place[sentence] for sentence in sentences], device=self.device)]

    def _check_finite(self, vectors: torch.Tensor) -> None:
        finite = torch.isfinite(vectors).flatten(1).all(dim=1).tolist()
        if all(finite):
            return
        if self.precision != "fp32":
            raise UserError(f"{self.directory}: {self.precision} is too narrow for its layers; pass --precision fp32")
        layer = self.layers[finite.index(False)]
        raise UserError(f"{self.directory}: vectors of layer {layer} are not finite, though its weights are")

    @torch.inference_mode()
    def encode_spans(
        self, token_ids: Sequence[np.ndarray], spans: Sequence[np.ndarray], batch_size: int = BATCH_SENTENCES
    ) -> torch.Tensor:
        """The means of runs of tokens at each of `layers`: L x K x C float32 on the model's device.

        Args:
            token_ids: the tokens (T,) of each sentence without specials, at most `max_length` - 2; each sentence is
                read by itself, between `<s>` and `</s>`.
            spans: from and to which of its tokens (K_i, 2), of each sentence; K is all of them, sentence after
                sentence. None is empty; a sentence without any is not read.
            batch_size: sentences a batch.

        Raises `UserError` where a vector is not finite.
        """
        ends = np.cumsum([len(of_sentence) for of_sentence in spans])
        vectors = torch.empty(len(self.layers), ends[-1], self.model.config.hidden_size, device=self.device)
        first, last = self._added
        asked = [i for i, of_sentence in enumerate(spans) if len(of_sentence)]
        for places in cut_batches([len(token_ids[i]) + 2 for i in asked], batch_size, BATCH_TOKENS):
            batch = [asked[place] for place in places]
            hidden, padded, _ = self._hidden([[first, *token_ids[i].tolist(), last] for i in batch])
            wide = padded.size(1)
            runs = np.concatenate([spans[i] + row * wide + 1 for row, i in enumerate(batch)])
            slots = np.concatenate([np.arange(ends[i] - len(spans[i]), ends[i]) for i in batch])
            rows = torch.from_numpy(np.concatenate([np.arange(*run) for run in runs])).to(self.device)
            sizes = runs[:, 1] - runs[:, 0]
            starts = torch.from_numpy(np.cumsum(sizes) - sizes).to(self.device)
            slots = torch.from_numpy(slots).to(self.device)
            for number, k in enumerate(self.layers):
                tokens = hidden[k].flatten(0, 1).float()
                vectors[number, slots] = embedding_bag(rows, tokens, starts, mode="mean")
        self._check_finite(vectors)
        return vectors

    def _hidden(self, token_ids: list[list[int]]) -> tuple[tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor]:
        """B sentences as lists of ids -> B x T x C of every layer; their ids, padded, and which are tokens, B x T."""
        rows = [torch.tensor(ids, dtype=torch.long) for ids in token_ids]
        padded = pad_sequence(rows, batch_first=True, padding_value=self.tokenizer.pad_token_id or 0)
        lengths = torch.tensor([len(ids) for ids in token_ids])
        attended = torch.arange(padded.size(1)) < lengths[:, None]
        inputs = {"input_ids": padded.to(self.device), "attention_mask": attended.long().to(self.device)}
        return self.model(**inputs, output_hidden_states=True).hidden_states, padded, attended

    def _vectors(self, token_ids: list[list[int]]) -> torch.Tensor:
        """B sentences as lists of ids -> L x B x C. `content` of a sentence with no tokens of its own is zeros."""
        hidden, padded, keep = self._hidden(token_ids)
        if self.pool == "content":
            for token_id in self._added:
                keep = keep & (padded != token_id)
        weights = keep.unsqueeze(-1).float().to(self.device)
        counts = weights.sum(dim=1).clamp(min=1)
        return torch.stack([(hidden[k].float() * weights).sum(dim=1) / counts for k in self.layers])
