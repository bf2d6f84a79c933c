"""ModernBERT (Warner et al. 2024), as mmBERT is: pre-LN, rotary positions, gated GELU, windows in two of three blocks.

Every third block, from the first on, attends to the whole sequence, the others to `local_attention` / 2 tokens on
either side; either kind has a base (theta) of its positions' angles. No layer has a bias but the output projection. The
first block has no LayerNorm before attention, as the embeddings end in one; another follows the last block.
"""

import re
from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.commandline import UserError, positive, quoted
from ppa_plugin.model.attention import Packing
from ppa_plugin.model.dropout import dropout
from ppa_plugin.model.encoder import MaskedLMHead, PackedEncoder
from ppa_plugin.model.families.family import (
    EMBED_TOKENS,
    LAYER_NORM_EPS,
    OUTPUT_BIAS,
    Family,
    Kept,
    Names,
    layers_of,
)
from ppa_plugin.model.rotary import THETAS, PackedRotaryAttention, Rotation, check_heads
from ppa_plugin.model.sizes import Sizes
from ppa_plugin.model.tied_embedding import TiedGradient, look_up

_WORDS = "model.embeddings.tok_embeddings.weight"
_LAYER = "model.layers"
# the two kinds of blocks in `layer_types` and `rope_parameters` of Transformers 5's config
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
# ModernBertConfig's own
_THETAS = {_GLOBAL: 160_000.0, _LOCAL: 10_000.0}


class ModernBERTLayer(nn.Module):
    """A LayerNorm, attention and a residual; a LayerNorm, gated feed-forward layers and a residual."""

    def __init__(self, config: Any, number: int):
        super().__init__()
        embed_dim, ffn_dim = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        everything = number % config.global_attn_every_n_layers == 0
        self.window = None if everything else config.local_attention // 2
        self.theta = config.global_rope_theta if everything else config.local_rope_theta
        heads, attention_dropout = config.encoder_attention_heads, config.attention_dropout
        self.self_attn = PackedRotaryAttention(embed_dim, heads, attention_dropout, bias=False)
        if number:
            self.self_attn_layer_norm = nn.LayerNorm(embed_dim, bias=False)
        else:
            self.self_attn_layer_norm = nn.Identity()
        self.final_layer_norm = nn.LayerNorm(embed_dim, bias=False)
        self.fc1 = nn.Linear(embed_dim, 2 * ffn_dim, bias=False)
        self.fc2 = nn.Linear(ffn_dim, embed_dim, bias=False)
        self.attention_dropout = attention_dropout
        self.activation_dropout = config.activation_dropout

    def forward(self, hidden: Tensor, packing: Packing, rows: Tensor | None = None) -> Tensor:
        """hidden (T, C) -> (T, C), or (M, C) for the M `rows` that are wanted: keys and values see all the same."""
        normed = self.self_attn_layer_norm(hidden)
        attended = self.self_attn(normed, packing.within(self.window), packing.shared[self.theta], rows)
        # Transformers drops what attention gives with the probability of its weights
        attended = dropout(attended, self.attention_dropout, self.training)
        hidden = (hidden if rows is None else hidden.index_select(0, rows)) + attended
        inner, gate = self.fc1(self.final_layer_norm(hidden)).chunk(2, dim=-1)
        return hidden + self.fc2(dropout(F.gelu(inner) * gate, self.activation_dropout, self.training))


class ModernBERTEncoder(PackedEncoder):
    """Word embeddings, a LayerNorm, the blocks, and a LayerNorm."""

    def __init__(self, vocabulary: int, config: Any):
        super().__init__(str(config.attention), config.encoder_attention_heads)
        embed_dim = config.encoder_embed_dim
        self.embed_tokens = nn.Embedding(vocabulary, embed_dim)
        self.layernorm_embedding = nn.LayerNorm(embed_dim, bias=False)
        self.layers = nn.ModuleList(ModernBERTLayer(config, number) for number in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(embed_dim, bias=False)
        self.dropout = config.dropout
        self.max_positions = config.max_positions

    def embed(self, tokens: Tensor, positions: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """tokens (T,) -> layer 0 (T, C); positions are the blocks'."""
        embedded = self.layernorm_embedding(look_up(self.embed_tokens.weight, tokens, tied))
        return dropout(embedded, self.dropout, self.training)

    def pack(self, lengths: np.ndarray, cu_seqlens: Tensor | None, positions: Tensor) -> Packing:
        """As every family's, with the rotations that the blocks share, by their theta."""
        packing, width = super().pack(lengths, cu_seqlens, positions), self.embed_tokens.embedding_dim // self.heads
        packing.shared = {theta: Rotation(positions, width, theta) for theta in {layer.theta for layer in self.layers}}
        return packing

    def finish(self, hidden: Tensor) -> Tensor:
        """The last LayerNorm: layer L of L is after it, the layers below are as the blocks leave them."""
        return self.layer_norm(hidden)

    def above(self, layer: int) -> list[nn.Module]:
        """As every family's; the last LayerNorm is of layer L alone."""
        return [*super().above(layer), *([self.layer_norm] if layer < len(self.layers) else [])]

    @property
    def windows(self) -> list[int | None]:
        """How far each block's attention sees to either side; None for everything."""
        return [layer.window for layer in self.layers]


class ModernBERT(Family):
    """ModernBERT and mmBERT."""

    model = "translit_modernbert"
    model_type = "modernbert"
    title, one = "ModernBERT", "a ModernBERT"
    masked_lm, bare = "ModernBertForMaskedLM", "ModernBertModel"
    names = Names(
        outside={
            _WORDS: EMBED_TOKENS,
            "model.embeddings.norm.weight": "encoder.sentence_encoder.layernorm_embedding.weight",
            "model.final_norm.weight": "encoder.sentence_encoder.layer_norm.weight",
        },
        in_layer={
            "attn_norm.weight": "self_attn_layer_norm.weight",
            "attn.Wqkv.weight": "self_attn.qkv_proj.weight",
            "attn.Wo.weight": "self_attn.out_proj.weight",
            "mlp_norm.weight": "final_layer_norm.weight",
            "mlp.Wi.weight": "fc1.weight",
            "mlp.Wo.weight": "fc2.weight",
        },
        head={
            "head.dense.weight": "encoder.lm_head.dense.weight",
            "head.norm.weight": "encoder.lm_head.layer_norm.weight",
            "decoder.bias": OUTPUT_BIAS,
        },
        layer=_LAYER,
        words=_WORDS,
        tied={"decoder.weight": _WORDS},
        prefix="model.",
        unprefixed=("embeddings.", "layers.", "final_norm."),
        hugging_face_mark=re.compile(r"(|.*?\.)(?:model\.)?embeddings\.tok_embeddings\.weight"),
        fairseq_mark=re.compile(r"(|.*?\.)encoder\.sentence_encoder\.layer_norm\.weight"),
        ignored=re.compile(r"model\.rotary_emb\..*"),  # buffers
        absent=frozenset({f"{_LAYER}.0.attn_norm.weight"}),
    )
    required: ClassVar = {
        "hidden_activation": "gelu",
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_activation": "gelu",
        "classifier_bias": False,
        "decoder_bias": True,
        "tie_word_embeddings": True,
        "rope_scaling": None,
    }
    size_keys = (
        *("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size"),
        "max_position_embeddings",
    )
    epsilon_key, epsilon = "norm_eps", 1e-5
    tokenizer = "tokenizer.json"
    own_flags = ("local_attention", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta")

    def encoder(self, vocabulary: int, config: Any) -> ModernBERTEncoder:
        check_heads(config)
        return ModernBERTEncoder(vocabulary, config)

    def head(self, weight: nn.Parameter, config: Any) -> MaskedLMHead:
        return MaskedLMHead(weight, bias=False)

    def check_config(self, config: dict[str, Any], directory: Any) -> None:
        super().check_config(config, directory)
        if config.get("local_attention", 128) not in positive:
            raise UserError(
                f"{directory}/config.json: local_attention is {quoted(config['local_attention'])}, not a size"
            )
        every, types = _every(config), config.get("layer_types")
        layers = config["num_hidden_layers"]
        named = isinstance(types, list) and len(types) == layers
        if every not in positive or (types is not None and not (named and types == _layer_types(layers, every))):
            raise UserError(
                f"{directory}/config.json: by layer_types or global_attn_every_n_layers it is not every n-th layer, "
                "from the first on, that attends to everything; only that can be converted"
            )
        for kind in (_GLOBAL, _LOCAL):
            theta, rotation = _theta(config, kind), _rotation(config, kind)
            if theta not in THETAS or rotation.get("rope_type", "default") != "default":
                raise UserError(
                    f"{directory}/config.json: the rotary positions of {kind} are {quoted(rotation or theta)}; only "
                    "those of type default with a theta can be converted"
                )

    def settings(self, config: dict[str, Any]) -> dict[str, Any]:
        return super().settings(config) | {
            "dropout": config.get("embedding_dropout", 0.0),
            "attention_dropout": config.get("attention_dropout", 0.0),
            "activation_dropout": config.get("mlp_dropout", 0.0),
            "local_attention": config.get("local_attention", 128),
            "global_attn_every_n_layers": _every(config),
            "global_rope_theta": float(_theta(config, _GLOBAL)),
            "local_rope_theta": float(_theta(config, _LOCAL)),
        }

    def positions(self, config: dict[str, Any]) -> int:
        return config["max_position_embeddings"]

    def expected_shapes(self, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        hidden = config["hidden_size"]
        expected = {_WORDS: (config["vocab_size"], hidden)}
        for layer in range(config["num_hidden_layers"]):
            expected[f"{_LAYER}.{layer}.mlp.Wi.weight"] = (2 * config["intermediate_size"], hidden)
        return expected

    def derive_config(self, state: dict[str, Tensor], heads: int, settings: dict[str, Any]) -> dict[str, Any]:
        vocabulary, hidden = state[_WORDS].shape
        return {
            "attention_bias": False,
            "attention_dropout": settings.get("attention_dropout", 0.0),
            "classifier_bias": False,
            "decoder_bias": True,
            "embedding_dropout": settings.get("dropout", 0.0),
            "global_attn_every_n_layers": settings.get("global_attn_every_n_layers", 3),
            "global_rope_theta": settings.get("global_rope_theta", _THETAS[_GLOBAL]),
            "hidden_activation": "gelu",
            "hidden_size": hidden,
            "initializer_range": 0.02,
            "intermediate_size": state[f"{_LAYER}.0.mlp.Wi.weight"].shape[0] // 2,
            "local_attention": settings.get("local_attention", 128),
            "local_rope_theta": settings.get("local_rope_theta", _THETAS[_LOCAL]),
            "max_position_embeddings": settings.get("max_positions", 8192),
            "mlp_bias": False,
            "mlp_dropout": settings.get("activation_dropout", 0.0),
            "model_type": self.model_type,
            "norm_bias": False,
            "norm_eps": LAYER_NORM_EPS,
            "num_attention_heads": heads,
            "num_hidden_layers": layers_of(state, _LAYER),
            "torch_dtype": "float32",
            "vocab_size": vocabulary,
        }

    def parameter_count(self, sizes: Sizes) -> int:
        """Embeddings V C and a LayerNorm C; a block 4C^2 for attention, 3CF for the feed-forward layers and 2C for two
        LayerNorms, of which the first block lacks one and one follows the last; the head C^2, a LayerNorm C and the
        bias V.
        """
        c, f, v = sizes.embed_dim, sizes.ffn_dim, sizes.vocabulary
        blocks = sizes.layers * (4 * c * c + 3 * c * f + 2 * c)
        return v * c + c + blocks + (c * c + c + v)

    def kept(self, sizes: Sizes, value_bytes: int) -> Kept:
        """A block: its input and the LayerNorm's result; query, key and value, rotated; attention's result, the second
        LayerNorm's input and result; both halves of the first feed-forward product, GELU's result, and their product:
        (8C + 4F) values a token, and 4 (H + 4) bytes of FP32 statistics. The embeddings keep C values a token for
        their LayerNorm and its statistics. Without dropout, as these models are trained.
        """
        c, f = sizes.embed_dim, sizes.ffn_dim
        return Kept(
            before=5 * c * value_bytes + 4 * sizes.heads + 8,
            after=(3 * c + 4 * f) * value_bytes + 8,
            block=0,
            embeddings=c * value_bytes + 8,
        )


def _layer_types(layers: int, every: int) -> list[str]:
    return [_LOCAL if number % every else _GLOBAL for number in range(layers)]


def _every(config: dict[str, Any]) -> Any:
    """`global_attn_every_n_layers`, or what Transformers 5 writes in its place, the types of all layers."""
    types = config.get("layer_types")
    if not isinstance(types, list):
        return config.get("global_attn_every_n_layers", 3)
    return next((number for number, kind in enumerate(types) if number and kind == _GLOBAL), len(types))


def _rotation(config: dict[str, Any], kind: str) -> dict[str, Any]:
    rotations = config.get("rope_parameters")
    found = rotations.get(kind) if isinstance(rotations, dict) else None
    return found if isinstance(found, dict) else {}


def _theta(config: dict[str, Any], kind: str) -> Any:
    """Of `rope_parameters`, else of the keys before Transformers 5; a local one that is null is the global one."""
    key, default = {_GLOBAL: "global_rope_theta", _LOCAL: "local_rope_theta"}[kind], _THETAS[kind]
    found = _rotation(config, kind).get("rope_theta", config.get(key, default))
    return _theta(config, _GLOBAL) if found is None and kind == _LOCAL else found
