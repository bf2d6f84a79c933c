"""Sentence retrieval, ours against the algorithm of the paper's released script, on one model in one process.

    python benchmarks/retrieval.py --data DIR [--limit 500] [--model HF_DIR | --layers 12 --width 768] [--json FILE]
    python benchmarks/retrieval.py --data DIR --command --layers 12 --width 768 --rows 401145 [--device cuda]

DIR holds `bible.LANG-eng_Latn.LANG` and `bible.LANG-eng_Latn.eng_Latn`. The released script embeds both languages anew
for every pair, in the files' order, through all blocks, pools all layers, and ranks by an array of N x N x C
differences; ours is `ppa_plugin.evaluation.retrieval.retrieve.measure`. Both run in turn, models loaded, text read.
Without --model, a random XLM-R with a SentencePiece vocabulary trained on the text. Exit code 1 where the accuracies
differ. With --command `ppa-evaluate retrieval` is timed in their place, a process from its start to its end: loading,
tokenizing, three layers, results.
"""

import argparse
import functools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import measure
import numpy as np
import sentencepiece
import torch
from measure import in_turn, timed, train_sentencepiece

from ppa_plugin import commandline
from ppa_plugin.codes import ENGLISH
from ppa_plugin.commandline import positive
from ppa_plugin.convert.tokenizer.tokenizer_json import write_tokenizer
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.encoder.batches import BATCH_SENTENCES, BATCH_TOKENS, cut_batches
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.retrieval import retrieve
from ppa_plugin.evaluation.retrieval.readers import Pair, RetrievalSet
from ppa_plugin.files import read_lines

# what the paper's job scripts pass
BATCH, SOURCES = 128, "eng_Latn,fas_Arab,ell_Grek,heb_Hebr"
Accuracies = dict[tuple[str, str, int], float]


@dataclass
class Released:
    """The released script's way: `encoder` is the whole model, `layer` the one that ranks."""

    encoder: SentenceEncoder
    layer: int

    def measure(self, pairs: list[Pair]) -> Accuracies:
        """Accuracy by (source, target, k)."""
        accuracies = {}
        self._tokenizer = import_transformers().AutoTokenizer.from_pretrained(self.encoder.directory)
        self._tokens = {}  # it keeps its tokens on disk
        for pair in pairs:
            x, y = (self._embed(side)[self.layer - 1] for side in (pair.candidates, pair.queries))
            x, y = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (x, y))
            distances = np.sqrt(np.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=2))
            nearest = np.argsort(distances, axis=0)[: max(retrieve.KS)].T
            for k in retrieve.KS:
                hits = sum(i in row[:k] for i, row in enumerate(nearest))
                accuracies[pair.source, pair.target, k] = hits / len(nearest)
        return accuracies

    @torch.no_grad()
    def _embed(self, side) -> list[np.ndarray]:
        """The mean over tokens at layers 1 to the last: N x C each."""
        model, tokenizer = self.encoder.model, self._tokenizer
        if side.path not in self._tokens:
            options = {"truncation": True, "max_length": self.encoder.max_length}
            self._tokens[side.path] = tokenizer(list(side.sentences), **options)["input_ids"]
        token_ids, batches = self._tokens[side.path], []
        for start in range(0, len(token_ids), BATCH):
            batch = tokenizer.pad({"input_ids": token_ids[start : start + BATCH]}, return_tensors="pt")
            batch = {name: tensor.to(self.encoder.device) for name, tensor in batch.items()}
            hidden, mask = model(**batch, output_hidden_states=True).hidden_states, batch["attention_mask"]
            counts = mask.sum(dim=1)[:, None].float()
            batches.append([((h * mask[:, :, None].float()).sum(dim=1) / counts).cpu().numpy() for h in hidden[1:]])
        return [np.concatenate(layer) for layer in zip(*batches, strict=True)]


def _main(argv: list[str] | None) -> int:
    args = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as made:
        _limited(args.data, Path(made) / "text", args.limit)
        data = RetrievalSet(Path(made) / "text", "bible")
        targets = [language for language in data.languages if language != ENGLISH]
        pairs = retrieve.plan(data, args.sources, targets)
        directory = args.model or _random_model(Path(made) / "model", data, args)
        device = flags.device_or_default(args.device)
        if args.command:
            report = _time_command(directory, data, targets, args, device)
            _save(report, args.json)
            return 0
        encoder = SentenceEncoder(directory, args.layer, device=device)
        whole = SentenceEncoder(directory, "all", device=device)
        report = _compare(encoder, whole, pairs, args.rounds)
    _show(report)
    _save(report, args.json)
    return int(bool(report["differing"]))


def _save(report: dict, path: Path | None) -> None:
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n")


def _time_command(
    directory: Path, data: RetrievalSet, targets: list[str], args: argparse.Namespace, device: torch.device
) -> dict:
    """Seconds of each of `--rounds` processes, which measure layers 1/3, 2/3 and all of the way up."""
    depth = json.loads((directory / "config.json").read_text())["num_hidden_layers"]
    layers = sorted({max(1, round(depth * part / 3)) for part in (1, 2, 3)})
    output = data.directory.with_name("results.jsonl")
    command = [sys.executable, "-m", "ppa_plugin.evaluation.cli", "retrieval", "--model", directory, "--task", "bible"]
    command += ["--data", data.directory, "--sources", ",".join(args.sources), "--targets", ",".join(targets)]
    command += ["--layer", ",".join(map(str, layers)), "--device", device, "--output", output]
    seconds = []
    for _ in range(args.rounds):
        output.unlink(missing_ok=True)
        seconds.append(
            timed(functools.partial(subprocess.run, list(map(str, command)), check=True, capture_output=True))
        )
    results = len(output.read_text().splitlines())
    size = f"{len(targets)} targets, {len(args.sources)} sources, layers {layers}: {results} results"
    sys.stdout.write(f"{size}; {statistics.median(seconds):.1f} s from start to end on {device}\n")
    return {"seconds": seconds, "layers": layers, "results": results, "device": str(device), "torch": torch.__version__}


def _compare(encoder: SentenceEncoder, whole: SentenceEncoder, pairs: list[Pair], rounds: int) -> dict:
    model = Model("benchmark", str(encoder.directory), "")
    accuracies: dict[str, Accuracies] = {}

    def released_way() -> None:
        accuracies["released"] = Released(whole, encoder.layer).measure(pairs)

    def our_way() -> None:
        accuracies["ours"] = {
            (result.source, result.target, int(result.metric.removeprefix("top"))): result.value
            for result in retrieve.measure(encoder, model, "bible", pairs)
        }

    seconds, memory = in_turn({"released": released_way, "ours": our_way}, rounds, encoder.device)
    ratios = [theirs / ours for theirs, ours in zip(seconds["released"], seconds["ours"], strict=True)]
    released, ours = accuracies["released"], accuracies["ours"]
    return {
        "model": {"depth": encoder.depth, "layer": encoder.layer, "width": encoder.model.config.hidden_size},
        "sentences": len(pairs[0].queries.sentences),
        "pairs": len(pairs),
        "device": encoder.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "seconds": seconds,
        "peak_bytes": memory,
        "ratio": {"median": statistics.median(ratios), "rounds": ratios},
        "predicted": _predicted(encoder, pairs),
        "mean": {f"top{k}": {n: _mean(a, k) for n, a in accuracies.items()} for k in retrieve.KS},
        "differing": [[*key, released[key], ours[key]] for key in released if released[key] != ours[key]],
    }


def _predicted(encoder: SentenceEncoder, pairs: list[Pair]) -> dict[str, float]:
    """How many times fewer tokens go through how many fewer blocks, by its three reasons."""
    uses = [side for pair in pairs for side in (pair.queries, pair.candidates)]
    texts = {side.sha256: side for side in uses}
    real, in_order, sorted_ = {}, {}, {}
    for sha256, side in texts.items():
        token_ids = encoder.tokenizer(list(side.sentences), truncation=True, max_length=encoder.max_length)["input_ids"]
        lengths = [len(ids) for ids in token_ids]
        real[sha256] = sum(lengths)
        cut = [lengths[start : start + BATCH] for start in range(0, len(lengths), BATCH)]
        in_order[sha256] = sum(max(batch) * len(batch) for batch in cut)
        batches = cut_batches(lengths, BATCH_SENTENCES, BATCH_TOKENS)
        sorted_[sha256] = sum(lengths[batch[0]] * len(batch) for batch in batches)
    once = sum(real[side.sha256] for side in uses) / sum(real.values())
    padding = sum(in_order[side.sha256] for side in uses) / sum(sorted_.values()) / once
    blocks = encoder.depth / max(encoder.layer, 1)
    return {"once": once, "blocks": blocks, "padding": padding, "all": once * blocks * padding}


def _mean(accuracies: Accuracies, k: int) -> float:
    return statistics.mean(value for key, value in accuracies.items() if key[2] == k)


def _show(report: dict) -> None:
    for name, seconds in report["seconds"].items():
        mean = ", ".join(f"top{k} {100 * report['mean'][f'top{k}'][name]:.1f}" for k in retrieve.KS)
        peak = report["peak_bytes"][name] / 1e9
        sys.stdout.write(f"{name:8} {statistics.median(seconds):9.2f} s  peak {peak:5.2f} GB  mean {mean}\n")
    predicted, ratio = report["predicted"], report["ratio"]
    sys.stdout.write(
        f"ratio {ratio['median']:.1f} ({min(ratio['rounds']):.1f} to {max(ratio['rounds']):.1f}); the encoder's "
        f"arithmetic predicts {predicted['all']:.1f} = {predicted['once']:.1f} (each text once) x "
        f"{predicted['blocks']:.2f} (blocks) x {predicted['padding']:.2f} (padding)\n"
    )
    sys.stdout.write(f"accuracies that differ: {len(report['differing'])} of {3 * report['pairs']}\n")


def _limited(source: Path, directory: Path, limit: int) -> None:
    """Copy the first `limit` lines of the Bible's files."""
    directory.mkdir()
    for path in sorted(source.glob("bible.*-*.*")):
        lines = list(read_lines(path))[:limit]
        (directory / path.name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _random_model(directory: Path, data: RetrievalSet, args: argparse.Namespace) -> Path:
    """An XLM-R of the sizes in `args`, as `ppa-convert to-hf` lays it out, its vocabulary that of the text."""
    transformers = import_transformers()
    lines = [line for name in sorted(data.directory.iterdir()) for line in read_lines(name)]
    train_sentencepiece(lines, args.vocabulary - 2, model_prefix=str(directory.with_name("spm")))
    trained = directory.with_name("spm.model")
    config = transformers.XLMRobertaConfig(
        vocab_size=max(sentencepiece.SentencePieceProcessor(model_file=str(trained)).get_piece_size() + 2, args.rows),
        hidden_size=args.width,
        num_hidden_layers=args.layers,
        num_attention_heads=max(1, args.width // 64),
        intermediate_size=4 * args.width,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    torch.manual_seed(0)
    transformers.XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(directory)
    shutil.copyfile(trained, directory / "sentencepiece.bpe.model")
    write_tokenizer(directory, trained)
    return directory


def _parser() -> argparse.ArgumentParser:
    parser = measure.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the Bible's files")
    parser.add_argument("--sources", type=flags.languages, default=flags.languages(SOURCES), help=f"default: {SOURCES}")
    parser.add_argument("--limit", type=positive, default=500, help="sentences a language (%(default)s)")
    parser.add_argument("--model", type=Path, metavar="HF_DIR", help="default: a random one of these sizes")
    parser.add_argument("--layers", type=positive, default=4, help="default: %(default)s")
    parser.add_argument("--width", type=positive, default=128, help="default: %(default)s")
    parser.add_argument("--vocabulary", type=positive, default=8000, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=0, help="pad the embedding to as many, as a file to load")
    parser.add_argument("--command", action="store_true", help="time `ppa-evaluate retrieval` itself")
    parser.add_argument("--layer", type=positive, help="the layer that ranks (default: ppa-evaluate's)")
    parser.add_argument("--device", help="default: cuda where there is one")
    parser.add_argument("--rounds", type=positive, default=1, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    return parser


if __name__ == "__main__":
    commandline.run(_main)
