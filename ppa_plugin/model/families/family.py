"""What the house asks of an encoder family; `ppa_plugin.model.families.FAMILIES` lists those that there are."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import nn

from ppa_plugin.commandline import UserError, positive, quoted
from ppa_plugin.model.sizes import Sizes

if TYPE_CHECKING:
    from ppa_plugin.model.encoder import PackedEncoder

# What every family calls these under fairseq's names. The output projection is the embedding matrix: fairseq's state
# dict names it twice, Hugging Face's file once.
EMBED_TOKENS = "encoder.sentence_encoder.embed_tokens.weight"
EMBED_TOKEN_TYPES = "encoder.sentence_encoder.embed_token_types.weight"
TIED_OUTPUT = "encoder.lm_head.weight"
OUTPUT_BIAS = "encoder.lm_head.bias"
HEAD = "encoder.lm_head."
FAIRSEQ_LAYER = "encoder.sentence_encoder.layers"
# fairseq's LayerNorm has this and no flag for another
LAYER_NORM_EPS = 1e-5


@dataclass(frozen=True)
class Names:
    """The one table of a family's parameters: Hugging Face name -> fairseq name, each with `.weight` or `.bias`."""

    outside: Mapping[str, str]
    in_layer: Mapping[str, str]  # what follows the number of a layer
    head: Mapping[str, str]  # the masked-LM head, the tied projection left out
    layer: str  # what precedes the number of a layer under Hugging Face's names
    words: str  # Hugging Face's name of the embedding matrix
    tied: Mapping[str, str]  # second names under which Hugging Face may have saved a parameter
    prefix: str  # of the encoder in Hugging Face's model with a head; `AutoModel` saves an encoder without it
    unprefixed: tuple[str, ...]  # what the names begin with then
    # a parameter of every model of the family; the first group is what names begin with inside another module
    hugging_face_mark: re.Pattern
    fairseq_mark: re.Pattern
    ignored: re.Pattern  # Hugging Face's parameters that the masked language model does not have
    earlier_prefix: str | None = None  # under which files are read as well
    pooler: str | None = None  # what those of a pooler begin with
    absent: frozenset[str] = frozenset()  # Hugging Face names of what the layers' table has and the model has not

    def table(self, layers: int, head: bool = True) -> dict[str, str]:
        """Hugging Face name -> fairseq name of every parameter of a model with `layers` layers, tied ones once."""
        table = dict(self.outside)
        for layer in range(layers):
            for hf, fairseq in self.in_layer.items():
                table[f"{self.layer}.{layer}.{hf}"] = f"{FAIRSEQ_LAYER}.{layer}.{fairseq}"
        table |= self.head if head else {}
        return {hf: fairseq for hf, fairseq in table.items() if hf not in self.absent}


class Kept(NamedTuple):
    """What a forward keeps for the backward, in bytes."""

    before: int  # a token and block, up to attention
    after: int  # a token and block, from attention's result on: of the top block, of masked tokens alone
    block: int  # a block, whatever its tokens
    embeddings: int  # a token


class Family:
    """An architecture of encoders: its blocks and head, and the same in Hugging Face's config and names."""

    model: ClassVar[str]  # what fairseq knows the model as
    model_type: ClassVar[str]  # in config.json
    title: ClassVar[str]  # in messages and on model cards
    one: ClassVar[str]  # with its article
    masked_lm: ClassVar[str]  # the class of Transformers with a masked-LM head
    bare: ClassVar[str]  # the one without
    names: ClassVar[Names]
    # of config.json: what these keys have to be, and what they are where they are not there, if that is another value
    required: ClassVar[Mapping[str, Any]]
    defaults: ClassVar[Mapping[str, Any]] = {}
    size_keys: ClassVar[tuple[str, ...]]
    epsilon_key: ClassVar[str]
    epsilon: ClassVar[float]  # where it is not there
    tokenizer: ClassVar[str] = "sentencepiece.bpe.model"  # or tokenizer.json: the file that its ids come from
    own_flags: ClassVar[tuple[str, ...]] = ()  # settings that a checkpoint decides, beside the sizes
    post_norm: ClassVar[bool] = False  # whether a block's output is normalised, the last one's as every other's

    def encoder(self, vocabulary: int, config: Any) -> "PackedEncoder":
        """Embeddings and blocks for `vocabulary` rows; `config` has the settings of `ppa_plugin.model.architectures`.

        Raises `UserError` for sizes that cannot be.
        """
        raise NotImplementedError

    def head(self, weight: nn.Parameter, config: Any) -> nn.Module:
        """The masked-LM head of an embedding (V, C): (M, C) -> (M, C) before the projection; it has the bias (V,)."""
        raise NotImplementedError

    def complete(self, state: dict[str, torch.Tensor]) -> None:
        """Add to a state dict under fairseq's names what checkpoints of others leave out and is known."""

    def check_config(self, config: dict[str, Any], directory: Any) -> None:
        """Raise `UserError` unless a config.json of this `model_type` describes a model that is computed alike here."""
        for key, value in self.required.items():
            # a config may leave out what equals its class's default
            found = config.get(key, self.defaults.get(key, value))
            if found != value:
                raise UserError(f"{directory}/config.json: {key} is {quoted(found)}; only {value!r} can be converted")
        for key in self.size_keys:
            if config.get(key) not in positive:
                raise UserError(f"{directory}/config.json: {key} is {quoted(config.get(key))}, not a size")
        if config["hidden_size"] % config["num_attention_heads"]:
            raise UserError(
                f"{directory}/config.json: hidden_size {config['hidden_size']} is not a multiple of "
                f"num_attention_heads {config['num_attention_heads']}"
            )

    def settings(self, config: dict[str, Any]) -> dict[str, Any]:
        """A config.json under the names of fairseq's flags."""
        return {
            "encoder_layers": config["num_hidden_layers"],
            "encoder_embed_dim": config["hidden_size"],
            "encoder_ffn_embed_dim": config["intermediate_size"],
            "encoder_attention_heads": config["num_attention_heads"],
            "max_positions": self.positions(config),
        }

    def positions(self, config: dict[str, Any]) -> int:
        """Tokens of the longest sequence, specials included."""
        raise NotImplementedError

    def expected_shapes(self, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        """The shapes, by Hugging Face's names, that show whether weights are those of a config.json's model."""
        raise NotImplementedError

    def derive_config(self, state: dict[str, torch.Tensor], heads: int, settings: dict[str, Any]) -> dict[str, Any]:
        """A config.json for weights (Hugging Face names) without one; `settings` are the model's, as far as known."""
        raise NotImplementedError

    def parameter_count(self, sizes: Sizes) -> int:
        """P, exactly, the tied embedding once."""
        raise NotImplementedError

    def kept(self, sizes: Sizes, value_bytes: int) -> Kept:
        """What the forward keeps for the backward, without head and logits, `value_bytes` a value."""
        raise NotImplementedError


def both(modules: Mapping[str, str]) -> dict[str, str]:
    """The table of names of the weights and biases of these modules."""
    return {f"{hf}.{kind}": f"{fairseq}.{kind}" for hf, fairseq in modules.items() for kind in ("weight", "bias")}


def layers_of(state: Iterable[str], prefix: str) -> int:
    """How many different layers `prefix` begins the names of.

    Not their highest number, which a name may claim: what is in between is missing, and said so by the first of it.
    """
    found = [re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in state]
    return len({match.group(1) for match in found if match})
