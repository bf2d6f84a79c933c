"""gte-multilingual (Zhang et al. 2024): post-LN, rotary positions, gated GELU, XLM-R's vocabulary.

Hugging Face's names are those of the files, in which query, key and value are one matrix, and so are the two products
of the gate; Transformers takes them apart when it reads a file. What stands on the hub under the name of an earlier
class of the authors, `new.`, has the same parameters.
"""

import re
from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.commandline import Range, UserError, quoted
from ppa_plugin.model.attention import Packing
from ppa_plugin.model.dropout import dropout
from ppa_plugin.model.encoder import MaskedLMHead, PackedEncoder
from ppa_plugin.model.families.family import (
    EMBED_TOKEN_TYPES,
    EMBED_TOKENS,
    OUTPUT_BIAS,
    Family,
    Kept,
    Names,
    both,
    layers_of,
)
from ppa_plugin.model.rotary import THETAS, PackedRotaryAttention, Rotation, check_heads
from ppa_plugin.model.sizes import Sizes
from ppa_plugin.model.tied_embedding import TiedGradient, look_up

_WORDS = "gte.embeddings.word_embeddings.weight"
_TYPES = "gte.embeddings.token_type_embeddings.weight"
_LAYER = "gte.encoder.layer"
# GteConfig's own
_THETA, _EPSILON = 160_000.0, 1e-12
FACTORS, EPSILONS = Range(1, 1e6), Range(0, 1)


class GTELayer(nn.Module):
    """Attention and gated feed-forward layers, each followed by dropout, the residual and a LayerNorm."""

    def __init__(self, config: Any):
        super().__init__()
        embed_dim, ffn_dim, epsilon = config.encoder_embed_dim, config.encoder_ffn_embed_dim, config.layer_norm_eps
        heads = config.encoder_attention_heads
        self.self_attn = PackedRotaryAttention(embed_dim, heads, config.attention_dropout, bias=True)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim, eps=epsilon)
        self.fc1 = nn.Linear(embed_dim, 2 * ffn_dim, bias=False)
        self.fc2 = nn.Linear(ffn_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim, eps=epsilon)
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout

    def forward(self, hidden: Tensor, packing: Packing, rows: Tensor | None = None) -> Tensor:
        """hidden (T, C) -> (T, C), or (M, C) for the M `rows` that are wanted: keys and values see all the same."""
        attended = self.self_attn(hidden, packing, packing.shared["rotation"], rows)
        attended = dropout(attended, self.dropout, self.training)
        hidden = self.self_attn_layer_norm((hidden if rows is None else hidden.index_select(0, rows)) + attended)
        up, gate = self.fc1(hidden).chunk(2, dim=-1)
        inner = dropout(F.gelu(gate) * up, self.activation_dropout, self.training)
        return self.final_layer_norm(hidden + dropout(self.fc2(inner), self.dropout, self.training))


class GTEEncoder(PackedEncoder):
    """Word and token-type embeddings, a LayerNorm, and the blocks."""

    def __init__(self, vocabulary: int, config: Any):
        super().__init__(str(config.attention), config.encoder_attention_heads)
        embed_dim = config.encoder_embed_dim
        self.embed_tokens = nn.Embedding(vocabulary, embed_dim)
        # Hugging Face's single token type, added to every token
        self.embed_token_types = nn.Embedding(1, embed_dim)
        self.layernorm_embedding = nn.LayerNorm(embed_dim, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(GTELayer(config) for _ in range(config.encoder_layers))
        self.theta, self.factor = config.rope_theta, config.rope_factor
        self.dropout = config.dropout
        self.max_positions = config.max_positions

    def embed(self, tokens: Tensor, positions: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """tokens (T,) -> layer 0 (T, C); positions are the blocks'."""
        embedded = look_up(self.embed_tokens.weight, tokens, tied) + self.embed_token_types.weight[0]
        return dropout(self.layernorm_embedding(embedded), self.dropout, self.training)

    def pack(self, lengths: np.ndarray, cu_seqlens: Tensor | None, positions: Tensor) -> Packing:
        """As every family's, with the rotation that the blocks share."""
        packing, width = super().pack(lengths, cu_seqlens, positions), self.embed_tokens.embedding_dim // self.heads
        packing.shared["rotation"] = Rotation(positions, width, self.theta, self.factor)
        return packing


class GTE(Family):
    """gte-multilingual."""

    model = "translit_gte"
    model_type = "gte"
    title, one = "GTE", "a GTE"
    masked_lm, bare = "GteForMaskedLM", "GteModel"
    names = Names(
        outside={
            _WORDS: EMBED_TOKENS,
            _TYPES: EMBED_TOKEN_TYPES,
            **both({"gte.embeddings.LayerNorm": "encoder.sentence_encoder.layernorm_embedding"}),
        },
        in_layer=both(
            {
                "attention.qkv_proj": "self_attn.qkv_proj",
                "attention.o_proj": "self_attn.out_proj",
                "attn_ln": "self_attn_layer_norm",
                "mlp.down_proj": "fc2",
                "mlp_ln": "final_layer_norm",
            }
        )
        | {"mlp.up_gate_proj.weight": "fc1.weight"},
        head={
            **both({"lm_head.dense": "encoder.lm_head.dense", "lm_head.norm": "encoder.lm_head.layer_norm"}),
            "lm_head.decoder.bias": OUTPUT_BIAS,
        },
        layer=_LAYER,
        words=_WORDS,
        tied={"lm_head.decoder.weight": _WORDS},
        prefix="gte.",
        earlier_prefix="new.",
        unprefixed=("embeddings.", "encoder.layer.", "pooler."),
        hugging_face_mark=re.compile(r"(|.*?\.)(?:gte\.|new\.)?encoder\.layer\.0\.mlp\.up_gate_proj\.weight"),
        fairseq_mark=re.compile(r"(|.*?\.)encoder\.sentence_encoder\.layers\.0\.self_attn\.qkv_proj\.bias"),
        ignored=re.compile(r"gte\.pooler\..*"),
        pooler="gte.pooler.",
    )
    required: ClassVar = {
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "tie_word_embeddings": True,
        # of the authors' own class
        "layer_norm_type": "layer_norm",
        "logn_attention_scale": False,
    }
    size_keys = (
        *("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size"),
        "max_position_embeddings",
    )
    epsilon_key, epsilon = "layer_norm_eps", _EPSILON
    own_flags = ("rope_theta", "rope_factor", "layer_norm_eps")
    post_norm = True

    def encoder(self, vocabulary: int, config: Any) -> GTEEncoder:
        check_heads(config)
        return GTEEncoder(vocabulary, config)

    def head(self, weight: nn.Parameter, config: Any) -> MaskedLMHead:
        return MaskedLMHead(weight, epsilon=config.layer_norm_eps)

    def check_config(self, config: dict[str, Any], directory: Any) -> None:
        super().check_config(config, directory)
        rotation = _rotation(config)
        kind, known = rotation["rope_type"], {"rope_type", "type", "rope_theta", "factor"}
        within = rotation["rope_theta"] in THETAS and _factor(config) in FACTORS
        if kind not in ("default", "linear") or not within or not rotation.keys() <= known:
            raise UserError(
                f"{directory}/config.json: its rotary positions are {quoted(rotation)}; only those of rope_type "
                "default, with a rope_theta, or linear, with a factor too, can be converted"
            )
        if config.get("layer_norm_eps", _EPSILON) not in EPSILONS:
            raise UserError(
                f"{directory}/config.json: layer_norm_eps is {quoted(config['layer_norm_eps'])}, not from 0 to 1"
            )

    def settings(self, config: dict[str, Any]) -> dict[str, Any]:
        in_between = config.get("hidden_dropout_prob", 0.1)
        return super().settings(config) | {
            "dropout": in_between,
            "attention_dropout": config.get("attention_probs_dropout_prob", 0.0),
            "activation_dropout": in_between,
            "rope_theta": float(_rotation(config)["rope_theta"]),
            "rope_factor": float(_factor(config)),
            "layer_norm_eps": float(config.get("layer_norm_eps", _EPSILON)),
        }

    def positions(self, config: dict[str, Any]) -> int:
        return config["max_position_embeddings"]

    def expected_shapes(self, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        hidden = config["hidden_size"]
        expected = {_WORDS: (config["vocab_size"], hidden), _TYPES: (1, hidden)}
        for layer in range(config["num_hidden_layers"]):
            expected[f"{_LAYER}.{layer}.attention.qkv_proj.weight"] = (3 * hidden, hidden)
            expected[f"{_LAYER}.{layer}.mlp.up_gate_proj.weight"] = (2 * config["intermediate_size"], hidden)
        return expected

    def derive_config(self, state: dict[str, Tensor], heads: int, settings: dict[str, Any]) -> dict[str, Any]:
        vocabulary, hidden = state[_WORDS].shape
        theta, factor = settings.get("rope_theta", _THETA), settings.get("rope_factor", 1.0)
        scaled = {"rope_type": "default"} if factor == 1 else {"rope_type": "linear", "factor": factor}
        return {
            "attention_probs_dropout_prob": settings.get("attention_dropout", 0.0),
            "hidden_act": "gelu",
            "hidden_dropout_prob": settings.get("dropout", 0.1),
            "hidden_size": hidden,
            "initializer_range": 0.02,
            "intermediate_size": state[f"{_LAYER}.0.mlp.up_gate_proj.weight"].shape[0] // 2,
            "layer_norm_eps": settings.get("layer_norm_eps", _EPSILON),
            "max_position_embeddings": settings.get("max_positions", 8192),
            "model_type": self.model_type,
            "num_attention_heads": heads,
            "num_hidden_layers": layers_of(state, _LAYER),
            "pad_token_id": 1,
            "rope_parameters": {"rope_theta": theta, **scaled},
            "torch_dtype": "float32",
            "type_vocab_size": 1,
            "vocab_size": vocabulary,
        }

    def parameter_count(self, sizes: Sizes) -> int:
        """Embeddings (V + 1 token type) C and a LayerNorm 2C; a block 4 (C^2 + C) for attention, 3CF + C for the
        feed-forward layers, 4C for two LayerNorms; the head C^2 + C, a LayerNorm 2C and the bias V.
        """
        c, f, v = sizes.embed_dim, sizes.ffn_dim, sizes.vocabulary
        block = 4 * (c * c + c) + (3 * c * f + c) + 4 * c
        return (v + 1) * c + 2 * c + sizes.layers * block + (c * c + c + 2 * c + v)

    def kept(self, sizes: Sizes, value_bytes: int) -> Kept:
        """A block: its input; query, key and value, rotated; attention's result; the first LayerNorm's input and
        result; both halves of the first feed-forward product, GELU's result, and their product; the second LayerNorm's
        input: (8C + 4F) values a token. To these come dropout masks of 2C + F bytes and 4 (H + 4) bytes of FP32
        statistics. The embeddings keep C values a token for their LayerNorm, its statistics and a dropout mask.
        """
        c, f = sizes.embed_dim, sizes.ffn_dim
        return Kept(
            before=4 * c * value_bytes + 4 * sizes.heads,
            after=(4 * c + 4 * f) * value_bytes + 2 * c + f + 16,
            block=0,
            embeddings=c * value_bytes + c + 8,
        )


def _rotation(config: dict[str, Any]) -> dict[str, Any]:
    """What a config says of its rotary positions, the type and theta too where it leaves them out.

    As Transformers, `rope_scaling` before `rope_parameters`, and `rope_theta` in either before the key of that name.
    """
    said = config.get("rope_scaling") or config.get("rope_parameters") or {}
    said = said if isinstance(said, dict) else {"rope_type": said}
    return {"rope_type": said.get("type", "default"), "rope_theta": config.get("rope_theta", _THETA)} | said


def _factor(config: dict[str, Any]) -> Any:
    rotation = _rotation(config)
    return rotation.get("factor") if rotation["rope_type"] == "linear" else 1.0
