"""`ppa-convert`: a Hugging Face directory to what fairseq trains from, and a checkpoint back to Hugging Face."""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from ppa_plugin import commandline
from ppa_plugin.commandline import UserError
from ppa_plugin.convert import checkpoint, hugging_face, names, tokenizer
from ppa_plugin.convert.output import check_free, directory_beside
from ppa_plugin.convert.to_hf import HF_FILES, convert
from ppa_plugin.data import vocabulary

_FAIRSEQ_FILES = ("model.pt", "dict.txt", hugging_face.SENTENCEPIECE, "hf")

_EXAMPLE = """\
example:
  ppa-convert to-fairseq cis-lmu/glot500-base glot500
  ppa-convert to-hf checkpoints/checkpoint_best.pt aligned
"""


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-convert` and exit."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    args.command(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppa-convert", description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="to-fairseq | to-hf")
    to_fairseq = commands.add_parser(
        "to-fairseq",
        help="Hugging Face XLM-R -> model.pt, dict.txt, sentencepiece.bpe.model, hf/",
        epilog="example: ppa-convert to-fairseq cis-lmu/glot500-base glot500",
    )
    to_fairseq.add_argument("model", metavar="HF_DIR|HUB_NAME", help="a directory, or a model's name on the hub")
    to_fairseq.set_defaults(command=_to_fairseq)
    to_hf = commands.add_parser(
        "to-hf",
        help="fairseq checkpoint -> a directory that Transformers loads",
        epilog="example: ppa-convert to-hf checkpoints/checkpoint_best.pt aligned",
    )
    to_hf.add_argument("checkpoint", metavar="CHECKPOINT", help="a fairseq checkpoint (.pt)")
    to_hf.add_argument(
        "--tokenizer",
        metavar="DIR|FILE",
        help="a SentencePiece model or a directory with sentencepiece.bpe.model (default: found through the data path "
        "in the checkpoint, or beside the checkpoint)",
    )
    to_hf.set_defaults(command=_to_hf)
    for command in (to_fairseq, to_hf):
        command.add_argument("output", metavar="OUT_DIR", help="the directory to write")
        command.add_argument(
            "--overwrite", action="store_true", help="replace OUT_DIR if it holds nothing but this command's own files"
        )
    return parser


def _to_fairseq(args: argparse.Namespace) -> None:
    check_free(args.output, _FAIRSEQ_FILES, args.overwrite)
    source = hugging_face.locate(args.model)
    config = hugging_face.read_config(source)
    hugging_face.check_config(config, source)
    pieces = source / hugging_face.SENTENCEPIECE
    if not pieces.is_file():
        raise UserError(
            f"{source} holds no {hugging_face.SENTENCEPIECE}; copy the one that the model was trained with there "
            "(Transformers 5 leaves it out of what it saves)"
        )
    weights = hugging_face.read_weights(source)
    state = names.to_fairseq(weights, str(source))
    hugging_face.check_shapes(weights, config, str(source))
    tokenizer.check_size(pieces, state[names.EMBED_TOKENS].shape[0], source)
    _warn_of_epsilon(config, source)
    with directory_beside(args.output) as fresh:
        torch.save(checkpoint.build(state, config, args.model), fresh / "model.pt")
        vocabulary.write_dictionary(pieces, fresh / "dict.txt")
        shutil.copyfile(pieces, fresh / hugging_face.SENTENCEPIECE)
        (fresh / "hf").mkdir()
        shutil.copyfile(source / "config.json", fresh / "hf" / "config.json")
        tokenizer.write_tokenizer(fresh / "hf", pieces)
    sizes = checkpoint.model_settings(config)
    flags = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads", "max_positions")
    _say(f"wrote {args.output}: vocabulary {state[names.EMBED_TOKENS].shape[0]:,}")
    _say(" ".join(f"--{flag.replace('_', '-')} {sizes[flag]}" for flag in flags))


def _to_hf(args: argparse.Namespace) -> None:
    check_free(args.output, HF_FILES, args.overwrite)
    converted = convert(Path(args.checkpoint), args.tokenizer)
    with directory_beside(args.output) as fresh:
        converted.write(fresh, Path(args.output).absolute().name)
    config = converted.config
    _say(f"wrote {args.output}: {config['num_hidden_layers']} layers, vocabulary {config['vocab_size']:,}")


def _warn_of_epsilon(config: dict[str, Any], source: Path) -> None:
    epsilon = config.get("layer_norm_eps", 1e-12)
    if epsilon != hugging_face.LAYER_NORM_EPS:
        sys.stderr.write(
            f"warning: {source}/config.json has layer_norm_eps {json.dumps(epsilon)}; fairseq computes with "
            f"{hugging_face.LAYER_NORM_EPS}, so outputs differ slightly\n"
        )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
