"""XLM-R: post-LN RoBERTa with learned positions, as Glot500 is; names as in fairseq's RobertaModel.

Hugging Face's are those of `XLMRobertaForMaskedLM`, with one addition to fairseq's: the token-type row, which fairseq's
own model lacks and Hugging Face has trained in every XLM-R and Glot500.
"""

import re
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppa_plugin.model.attention import PackedSelfAttention, Packing
from ppa_plugin.model.dropout import dropout
from ppa_plugin.model.encoder import MaskedLMHead, PackedEncoder
from ppa_plugin.model.families.family import (
    EMBED_TOKEN_TYPES,
    EMBED_TOKENS,
    LAYER_NORM_EPS,
    OUTPUT_BIAS,
    Family,
    Kept,
    Names,
    both,
    layers_of,
)
from ppa_plugin.model.sizes import Sizes
from ppa_plugin.model.tied_embedding import TiedGradient, look_up

# RoBERTa counts positions from padding_idx + 1 = 2; Hugging Face's 514 rows are 512 positions and these two.
POSITION_OFFSET = 2
PADDING_INDEX = 1
_WORDS = "roberta.embeddings.word_embeddings.weight"
_POSITIONS = "roberta.embeddings.position_embeddings.weight"
_TYPES = "roberta.embeddings.token_type_embeddings.weight"
_LAYER = "roberta.encoder.layer"


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual and a LayerNorm."""

    def __init__(self, config: Any):
        super().__init__()
        embed_dim, ffn_dim = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        self.self_attn = PackedSelfAttention(embed_dim, config.encoder_attention_heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim)
        self.fc1 = nn.Linear(embed_dim, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim)
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout

    def forward(self, hidden: Tensor, packing: Packing, rows: Tensor | None = None) -> Tensor:
        """hidden (T, C) -> (T, C), or (M, C) for the M `rows` that are wanted: keys and values see all the same."""
        attended = self.self_attn(hidden, packing, rows)
        return self.after_attention(hidden if rows is None else hidden.index_select(0, rows), attended)

    def after_attention(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """The block's input and what attention gives, (R, C) each -> its output (R, C); each row by itself."""
        hidden = self.self_attn_layer_norm(hidden + dropout(attended, self.dropout, self.training))
        inner = dropout(F.gelu(self.fc1(hidden)), self.activation_dropout, self.training)
        return self.final_layer_norm(hidden + dropout(self.fc2(inner), self.dropout, self.training))


class XLMREncoder(PackedEncoder):
    """Word, position and token-type embeddings, a LayerNorm, and the blocks."""

    def __init__(self, vocabulary: int, config: Any):
        super().__init__(str(config.attention), config.encoder_attention_heads)
        embed_dim, positions = config.encoder_embed_dim, config.max_positions + POSITION_OFFSET
        self.embed_tokens = nn.Embedding(vocabulary, embed_dim, padding_idx=PADDING_INDEX)
        self.embed_positions = nn.Embedding(positions, embed_dim, padding_idx=PADDING_INDEX)
        # Hugging Face's single token type, added to every token; Glot500 trained it, so it is kept as a parameter
        self.embed_token_types = nn.Embedding(1, embed_dim)
        self.layernorm_embedding = nn.LayerNorm(embed_dim)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.dropout = config.dropout
        self.max_positions = config.max_positions

    def embed(self, tokens: Tensor, positions: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """tokens (T,), positions (T,) from 0 -> layer 0 (T, C)."""
        embedded = look_up(self.embed_tokens.weight, tokens, tied) + self.embed_positions(positions + POSITION_OFFSET)
        embedded = self.layernorm_embedding(embedded + self.embed_token_types.weight[0])
        return dropout(embedded, self.dropout, self.training)


class XLMR(Family):
    """XLM-R, Glot500 and what else is a RoBERTa with XLM-R's vocabulary."""

    model = "translit_xlmr"
    model_type = "xlm-roberta"
    title, one = "XLM-R", "an XLM-R"
    masked_lm, bare = "XLMRobertaForMaskedLM", "XLMRobertaModel"
    names = Names(
        outside={
            _WORDS: EMBED_TOKENS,
            _POSITIONS: "encoder.sentence_encoder.embed_positions.weight",
            _TYPES: EMBED_TOKEN_TYPES,
            **both({"roberta.embeddings.LayerNorm": "encoder.sentence_encoder.layernorm_embedding"}),
        },
        in_layer=both(
            {
                "attention.self.query": "self_attn.q_proj",
                "attention.self.key": "self_attn.k_proj",
                "attention.self.value": "self_attn.v_proj",
                "attention.output.dense": "self_attn.out_proj",
                "attention.output.LayerNorm": "self_attn_layer_norm",
                "intermediate.dense": "fc1",
                "output.dense": "fc2",
                "output.LayerNorm": "final_layer_norm",
            }
        ),
        head={
            **both({"lm_head.dense": "encoder.lm_head.dense", "lm_head.layer_norm": "encoder.lm_head.layer_norm"}),
            "lm_head.bias": OUTPUT_BIAS,
        },
        layer=_LAYER,
        words=_WORDS,
        tied={"lm_head.decoder.weight": _WORDS, "lm_head.decoder.bias": "lm_head.bias"},
        prefix="roberta.",
        unprefixed=("embeddings.", "encoder.layer.", "pooler."),
        hugging_face_mark=re.compile(r"(|.*?\.)(?:roberta\.)?embeddings\.position_embeddings\.weight"),
        fairseq_mark=re.compile(r"(|.*?\.)(?:encoder|decoder)\.sentence_encoder\.embed_positions\.weight"),
        # buffers, and the pooler
        ignored=re.compile(r"roberta\.embeddings\.(position_ids|token_type_ids)|roberta\.pooler\..*"),
        pooler="roberta.pooler.",
    )
    required: ClassVar = {
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "is_decoder": False,
    }
    defaults: ClassVar = {"type_vocab_size": 2}
    size_keys = (
        *("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size"),
        *("max_position_embeddings", "type_vocab_size"),
    )
    epsilon_key, epsilon = "layer_norm_eps", 1e-12
    post_norm = True

    def encoder(self, vocabulary: int, config: Any) -> XLMREncoder:
        return XLMREncoder(vocabulary, config)

    def head(self, weight: nn.Parameter, config: Any) -> MaskedLMHead:
        return MaskedLMHead(weight)

    def complete(self, state: dict[str, Tensor]) -> None:
        """A token-type row of zeros, which changes no output: fairseq's own XLM-R has none."""
        tokens = state.get(EMBED_TOKENS)
        if tokens is not None and tokens.dim() == 2 and EMBED_TOKEN_TYPES not in state:
            state[EMBED_TOKEN_TYPES] = torch.zeros(1, tokens.shape[1], dtype=tokens.dtype)

    def settings(self, config: dict[str, Any]) -> dict[str, Any]:
        return super().settings(config) | {
            "dropout": config.get("hidden_dropout_prob", 0.1),
            "attention_dropout": config.get("attention_probs_dropout_prob", 0.1),
            "activation_dropout": 0.0,
            "activation_fn": "gelu",
        }

    def positions(self, config: dict[str, Any]) -> int:
        return config["max_position_embeddings"] - POSITION_OFFSET

    def expected_shapes(self, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        hidden = config["hidden_size"]
        expected = {
            _WORDS: (config["vocab_size"], hidden),
            _POSITIONS: (config["max_position_embeddings"], hidden),
            _TYPES: (config["type_vocab_size"], hidden),
        }
        for layer in range(config["num_hidden_layers"]):
            expected[f"{_LAYER}.{layer}.intermediate.dense.weight"] = (config["intermediate_size"], hidden)
        return expected

    def derive_config(self, state: dict[str, Tensor], heads: int, settings: dict[str, Any]) -> dict[str, Any]:
        vocabulary, hidden = state[_WORDS].shape
        return {
            "attention_probs_dropout_prob": settings.get("attention_dropout", 0.1),
            "bos_token_id": 0,
            "classifier_dropout": None,
            "eos_token_id": 2,
            "hidden_act": "gelu",
            "hidden_dropout_prob": settings.get("dropout", 0.1),
            "hidden_size": hidden,
            "initializer_range": 0.02,
            "intermediate_size": state[f"{_LAYER}.0.intermediate.dense.weight"].shape[0],
            "layer_norm_eps": LAYER_NORM_EPS,
            "max_position_embeddings": state[_POSITIONS].shape[0],
            "model_type": self.model_type,
            "num_attention_heads": heads,
            "num_hidden_layers": layers_of(state, _LAYER),
            "output_past": True,
            "pad_token_id": 1,
            "position_embedding_type": "absolute",
            "torch_dtype": "float32",
            "type_vocab_size": state[_TYPES].shape[0],
            "use_cache": True,
            "vocab_size": vocabulary,
        }

    def parameter_count(self, sizes: Sizes) -> int:
        """Embeddings (V + positions + 2 + 1 token type) C and a LayerNorm 2C; a block 4 (C^2 + C) for attention,
        2CF + F + C for the feed-forward layers, 4C for two LayerNorms; the head C^2 + C, a LayerNorm 2C and the bias V.
        """
        c, f, v = sizes.embed_dim, sizes.ffn_dim, sizes.vocabulary
        embeddings = (v + sizes.max_positions + POSITION_OFFSET + 1) * c + 2 * c
        block = 4 * (c * c + c) + (2 * c * f + f + c) + 4 * c
        return embeddings + sizes.layers * block + (c * c + c + 2 * c + v)

    def kept(self, sizes: Sizes, value_bytes: int) -> Kept:
        """A block: its input; query, key and value; attention's result; the first LayerNorm's input and result; the
        values before and after GELU; the second LayerNorm's input: (8C + 2F) values a token. To these come two dropout
        masks of C bytes, 4 (H + 4) bytes of FP32 statistics, and 3C^2 values for the joined weights of query, key and
        value. The embeddings keep C values a token for their LayerNorm, its statistics and a dropout mask.
        """
        c, f = sizes.embed_dim, sizes.ffn_dim
        return Kept(
            before=4 * c * value_bytes + 4 * sizes.heads,
            after=(4 * c + 2 * f) * value_bytes + 2 * c + 16,
            block=3 * c * c * value_bytes,
            embeddings=c * value_bytes + c + 8,
        )
