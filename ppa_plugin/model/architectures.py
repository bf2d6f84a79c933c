"""The model as fairseq registers it, and its named sizes."""

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture
from omegaconf import II
from torch import Tensor, nn

from ppa_plugin.commandline import Range, UserError, exit_on_user_error, setting
from ppa_plugin.model.attention import KERNELS
from ppa_plugin.model.families import FAMILIES
from ppa_plugin.model.families.family import EMBED_TOKENS, Family
from ppa_plugin.model.families.gte import EPSILONS, FACTORS
from ppa_plugin.model.names import as_fairseq, check_finite
from ppa_plugin.model.rotary import THETAS
from ppa_plugin.model.sizes import ARCHITECTURES, MODEL_OF, SIZE_FLAGS, Products, estimate_flops
from ppa_plugin.model.tied_embedding import TiedGradient

_WIDTH = Range(1, 1 << 20, whole=True)
_DROPOUT = Range(0, 1, below=True)


@dataclass
class TranslitXLMRConfig(FairseqDataclass):
    """Sizes and dropout; the defaults are XLM-R base's, which are Glot500's."""

    encoder_layers: int = setting(12, "number of blocks", Range(1, 1000, whole=True))
    encoder_embed_dim: int = setting(768, "width C of the embeddings and blocks", _WIDTH)
    encoder_ffn_embed_dim: int = setting(3072, "width of the feed-forward layers", _WIDTH)
    encoder_attention_heads: int = setting(12, "number of attention heads", _WIDTH)
    dropout: float = setting(0.1, "dropout after the embeddings and every sub-layer", _DROPOUT)
    attention_dropout: float = setting(0.1, "dropout on the attention weights", _DROPOUT)
    activation_dropout: float = setting(0.0, "dropout after the feed-forward activation", _DROPOUT)
    attention: ChoiceEnum(["auto", *KERNELS]) = setting(
        "auto",
        "kernel of attention: auto takes torch's flash kernel in half precision on a GPU, its "
        "memory-efficient one else, and runs of similar length on a CPU",
    )
    max_positions: int = II("task.max_positions")
    headless: bool = setting(
        False, "no masked-LM head; a checkpoint that training starts from decides whether there is one"
    )
    padding_rows: int = setting(
        0,
        "rows of the embedding after those of the dictionary, which are never predicted; a checkpoint that "
        "training starts from decides how many",
        Range(0, 1 << 24, whole=True),
    )


@dataclass
class TranslitModernBERTConfig(TranslitXLMRConfig):
    """As XLM-R's; the defaults are mmBERT base's."""

    encoder_layers: int = setting(22, "number of blocks", Range(1, 1000, whole=True))
    encoder_ffn_embed_dim: int = setting(1152, "width of the gated feed-forward layers", _WIDTH)
    dropout: float = setting(0.0, "dropout after the embeddings", _DROPOUT)
    attention_dropout: float = setting(0.0, "dropout on the attention weights and on its result", _DROPOUT)
    local_attention: int = setting(
        128, "tokens that a local block attends to, half of them on either side; a checkpoint decides", _WIDTH
    )
    global_attn_every_n_layers: int = setting(
        3, "every how manieth block, from the first on, attends to everything; a checkpoint decides", _WIDTH
    )
    global_rope_theta: float = setting(
        160_000.0, "base of the rotary positions in global blocks; a checkpoint decides", THETAS
    )
    local_rope_theta: float = setting(
        160_000.0, "base of the rotary positions in local blocks; a checkpoint decides", THETAS
    )


@dataclass
class TranslitGTEConfig(TranslitXLMRConfig):
    """As XLM-R's; the defaults are gte-multilingual base's."""

    encoder_ffn_embed_dim: int = setting(3072, "width of the gated feed-forward layers", _WIDTH)
    attention_dropout: float = setting(0.0, "dropout on the attention weights", _DROPOUT)
    activation_dropout: float = setting(0.1, "dropout after the feed-forward activation", _DROPOUT)
    rope_theta: float = setting(160_000.0, "base of the rotary positions; a checkpoint decides", THETAS)
    rope_factor: float = setting(1.0, "what the rotary positions are divided by; a checkpoint decides", FACTORS)
    layer_norm_eps: float = setting(1e-12, "what a LayerNorm adds to the variance; a checkpoint decides", EPSILONS)


class Output(NamedTuple):
    """What the criterion reads from one forward."""

    # (M, C) after the head's dense layer, GELU and LayerNorm; None where no head rows were asked for
    head: Tensor | None
    # the output of each layer that was asked for, (T, C)
    layers: dict[int, Tensor]
    # the output projection: weight (V, C), tied to the embedding, and bias (V,), None without a head
    weight: Tensor
    bias: Tensor | None
    # the entries of the dictionary, which can be predicted: the first rows of the projection, the others are padding
    entries: int
    # takes the projection's gradient of `weight`, for the embedding's to complete; None without head rows
    tied: TiedGradient | None
    # share of the positions that attention computed which were padding
    padding: float
    # floating-point operations of this forward and its backward, see `ppa_plugin.model.sizes.estimate_flops`
    flops: int


class PackedModel(BaseFairseqModel):
    """A family's encoder over packed tokens, with its masked-LM head unless the config says that there is none.

    The parameters are those of the family's class of Transformers, under names after fairseq's RobertaModel.
    """

    family: ClassVar[Family]

    def __init__(self, config: TranslitXLMRConfig, vocabulary: int):
        super().__init__()
        self.entries = vocabulary
        # checkpoints of earlier releases do not say
        headless, padding_rows = getattr(config, "headless", False), getattr(config, "padding_rows", 0)
        self.encoder = nn.Module()  # holds its two parts under fairseq's names
        self.encoder.sentence_encoder = encoder = self.family.encoder(vocabulary + padding_rows, config)
        self.encoder.lm_head = None if headless else self.family.head(encoder.embed_tokens.weight, config)
        self.apply(_initialise)

    @classmethod
    def build_model(cls, cfg: TranslitXLMRConfig, task) -> "PackedModel":
        """Build the model for the task's dictionary; raises `UserError` where heads do not divide the width."""
        if cfg.encoder_embed_dim % cfg.encoder_attention_heads:
            raise UserError(
                f"--encoder-embed-dim {cfg.encoder_embed_dim} is not a multiple of "
                f"--encoder-attention-heads {cfg.encoder_attention_heads}"
            )
        return cls(cfg, len(task.source_dictionary))

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.encoder.sentence_encoder.layers)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        lengths: np.ndarray,
        cu_seqlens: Tensor | None = None,
        head_rows: Tensor | None = None,
        layers: Collection[int] = (),
    ) -> Output:
        """Encode packed sequences once for all terms.

        Args:
            tokens, positions: (T,); lengths: (S,) on the host; cu_seqlens: (S + 1,) their bounds: all as
                `ppa_plugin.data.batch.collate` makes them.
            head_rows: (M,) the rows that the masked-LM head sees; without, the blocks above the highest of `layers` are
                skipped. A model without a head takes none.
            layers: those whose output is returned.
        """
        encoder, head = self.encoder.sentence_encoder, self.encoder.lm_head
        tied = None if head_rows is None else TiedGradient()
        packing = encoder.pack(lengths, cu_seqlens, positions)
        encoded = encoder(encoder.embed(tokens, positions, tied), packing, layers, head_rows)
        masked = 0 if head_rows is None else len(head_rows)
        blocks = max(layers, default=0) if head_rows is None else self.depth
        return Output(
            head=None if head_rows is None else head(encoded.top),
            layers=encoded.layers,
            weight=encoder.embed_tokens.weight,
            bias=None if head is None else head.bias,
            entries=self.entries,
            tied=tied,
            padding=packing.padded_share(encoder.windows[:blocks]),
            flops=self.flops(lengths, masked, layers),
        )

    def flops(self, lengths: np.ndarray, masked: int, wanted: Collection[int]) -> int:
        """Floating-point operations of a forward and backward over sequences of `lengths` (S,), M masked."""
        encoder = self.encoder.sentence_encoder
        layers = self.depth if masked else max(wanted, default=0)
        narrow = bool(masked) and self.depth not in wanted
        into, out = encoder.layers[0].fc1, encoder.layers[0].fc2
        embed_dim, ffn_dim = into.in_features, out.in_features
        frozen = not any(parameter.requires_grad for parameter in encoder.parameters())
        matrices = into.out_features // ffn_dim + 1  # a gated layer's first product is twice as wide
        sizes = Products(layers, embed_dim, ffn_dim, self.entries, matrices, encoder.windows)
        return estimate_flops(sizes, lengths, masked, narrow, frozen)

    def freeze_above(self, layer: int) -> None:
        """Take the blocks above `layer` and the head, but for the tied embedding, out of training.

        Without a masked-LM term they get no gradient, and DistributedDataParallel would wait for one.
        """
        head = self.encoder.lm_head
        own = [] if head is None else [head.dense, head.layer_norm]
        for module in (*self.encoder.sentence_encoder.above(layer), *own):
            module.requires_grad_(False)
        if head is not None:
            head.bias.requires_grad_(False)

    def freeze_encoder(self) -> None:
        """Take everything but the head's dense layer, LayerNorm and bias out of training, its tied weight too."""
        self.encoder.sentence_encoder.requires_grad_(False)

    def max_positions(self) -> int:
        """Tokens of the longest sequence, specials included."""
        return self.encoder.sentence_encoder.max_positions

    @exit_on_user_error()
    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Fit a checkpoint of fairseq's own: what it lacks and is known is filled in, its leftovers are dropped.

        A checkpoint of another vocabulary or another architecture ends the run with one sentence.
        """
        own = self.state_dict()
        renamed = as_fairseq(state_dict, "the checkpoint")
        state_dict.clear()
        state_dict.update(renamed)
        self.family.complete(state_dict)
        _check_shapes(state_dict, own, len(own[EMBED_TOKENS]) - self.entries, self.family.one)


@register_model("translit_xlmr", dataclass=TranslitXLMRConfig)
class TranslitXLMR(PackedModel):
    """XLM-R: the parameters of Hugging Face's XLMRobertaForMaskedLM, under the names of fairseq's RobertaModel."""

    family = FAMILIES["translit_xlmr"]


@register_model("translit_modernbert", dataclass=TranslitModernBERTConfig)
class TranslitModernBERT(PackedModel):
    """ModernBERT: the parameters of Hugging Face's ModernBertForMaskedLM."""

    family = FAMILIES["translit_modernbert"]


@register_model("translit_gte", dataclass=TranslitGTEConfig)
class TranslitGTE(PackedModel):
    """gte-multilingual: the parameters of Hugging Face's GteForMaskedLM."""

    family = FAMILIES["translit_gte"]


# by what fairseq knows the model as
CONFIGURATIONS: dict[str, type] = {
    "translit_xlmr": TranslitXLMRConfig,
    "translit_modernbert": TranslitModernBERTConfig,
    "translit_gte": TranslitGTEConfig,
}


def _check_shapes(state_dict: dict[str, Tensor], own: dict[str, Tensor], padding_rows: int, title: str) -> None:
    if EMBED_TOKENS not in state_dict:
        raise UserError(f"the checkpoint is not {title} masked language model: it has no {EMBED_TOKENS}")
    theirs, ours = len(state_dict[EMBED_TOKENS]) - padding_rows, len(own[EMBED_TOKENS]) - padding_rows
    if theirs != ours:
        raise UserError(
            f"the checkpoint's vocabulary has {theirs} entries and the data's dict.txt has {ours}: preprocess the data "
            "with the SentencePiece model of the checkpoint"
        )
    for key in sorted(own.keys() ^ state_dict.keys()):
        where = "the checkpoint lacks" if key in own else "the model has no place for"
        raise UserError(f"the checkpoint is of another architecture than --arch builds: {where} {key}")
    check_finite(state_dict, "the checkpoint")
    for key, tensor in own.items():
        if state_dict[key].shape != tensor.shape:
            raise UserError(
                f"the checkpoint is of another size than --arch builds: {key} is {tuple(state_dict[key].shape)} there "
                f"and {tuple(tensor.shape)} here; pass the sizes that ppa-convert to-fairseq printed for it "
                f"({', '.join('--' + flag.replace('_', '-') for flag in SIZE_FLAGS)})"
            )


def _initialise(module: nn.Module) -> None:
    """BERT's initialisation, for training from scratch."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx])


def _fill_in(args, sizes: tuple[int, ...]) -> None:
    """Sizes that the command line left open; with a dataclass, fairseq only sets the flags that were given."""
    for name, value in zip(SIZE_FLAGS, sizes, strict=True):
        setattr(args, name, getattr(args, name, value))


for _name, _sizes in ARCHITECTURES.items():
    register_model_architecture(MODEL_OF[_name], _name)(functools.partial(_fill_in, sizes=_sizes))
