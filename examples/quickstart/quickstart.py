"""The quick start, run by `make demo`: a small encoder is pre-trained, post-trained in two ways, and measured.

Read it from the bottom up: `main` is the whole story, and each step is one function. Every command that it runs is
printed as you would type it in the root of the repository, and all that the command says is kept in `logs/`.

1. A corpus: names, units, dates and lists in seven languages and six scripts, with 300 names held out (corpus.py).
2. The released base: a tiny XLM-R, pre-trained with masked LM on text in its own script. With a real model
   (cis-lmu/glot500-base, say), your path begins after this step.
3. Post-training, twice with as many updates: masked LM on both sides alone, and the full objective
   L_MLM(orig) + L_MLM(latn) + L_SEQ + L_TLM. What the two differ by is what the alignment does.
4. The held-out English names are looked up among those of every other language, with all three models.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import corpus
import sentencepiece

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from steps import ROOT, run, say

MODELS = ("base", "mlm", "aligned")
CONTROL = "shuffled"
WITHOUT_ALIGNMENT = ("--seq-weight", "0", "--tlm-weight", "0")


def options() -> argparse.Namespace:
    """What can be changed; the defaults are what the table of docs/quickstart.md was made with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--output", type=Path, default=Path("runs/quickstart"), help="directory to write to; default: %(default)s")
    add("--seed", type=int, default=1, help="decides what is held out and all training; default: %(default)s")
    add("--languages", default=",".join(corpus.DEFAULT_LANGUAGES), help="Glot500 codes; default: %(default)s")
    add("--vocabulary", type=int, default=3000, help="SentencePiece pieces; default: %(default)s")
    add("--base-updates", type=int, default=200, help="updates of pre-training; default: %(default)s")
    add("--updates", type=int, default=300, help="updates of each post-training; default: %(default)s")
    add("--batch-size", type=int, default=128, help="pairs a batch; default: %(default)s")
    add("--lr", type=float, default=1e-3, help="peak learning rate; default: %(default)s")
    add(
        "--control",
        action="store_true",
        help=f"train a fourth model, `{CONTROL}`: as `aligned`, every line beside the romanization of another one",
    )
    return parser.parse_args()


def make_corpus(out: Path, args: argparse.Namespace) -> None:
    """Write the training text, the held-out names, the SentencePiece model and the group file."""
    languages = tuple(args.languages.split(","))
    training, queries = corpus.build(languages, args.seed)
    corpus.write(training, queries, out)
    for language, lines in training.items():
        print(f"    {language}: {len(lines):,} lines, {len(queries[language])} names held out; say, {lines[0]!r}")
    # As for a real model: the vocabulary knows the original scripts only. English brings the letters that
    # romanizations are written with, and the whole alphabet of every script is kept, however rare a letter.
    sentencepiece.SentencePieceTrainer.train(
        input=[str(out / "text" / f"{language}.txt") for language in languages],
        model_prefix=str(out / "sentencepiece.bpe"),
        vocab_size=args.vocabulary,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    # As many lines as there are: a real group samples 10% of a language, and at least 10,000 lines.
    group = ["name: quickstart", f"seed: {args.seed}", "shards: 1", "valid_size: 50"]
    group += ["sampling: {share: 1.0, min_lines: 0}", "languages:"]
    group += [f"  {language}: {{uroman: null}}" for language in languages]
    corpus.write_lines(out / "group.yaml", group)


def preprocess(out: Path, model: Path, work: Path) -> None:
    """Romanize, encode and binarize the text with the SentencePiece model `model`."""
    flags = ("--config", out / "group.yaml", "--input", out / "text", "--spm", model, "--output", work)
    run(out / "logs" / f"preprocess_{work.name}.log", "ppa-preprocess", "all", *flags)


def train(out: Path, name: str, work: Path, updates: int, args: argparse.Namespace, *flags: str | Path) -> None:
    """Train on the shard in `work` and write the last checkpoint as the Hugging Face directory `out/name`."""
    checkpoints = out / "checkpoints" / name
    run(
        out / "logs" / f"train_{name}.log",
        *("fairseq-train", work / "data-bin" / "shard00", "--user-dir", "ppa_plugin", "--task", "translit_alignment"),
        *("--criterion", "translit_alignment", "--arch", "translit_tiny", *flags),
        *("--batch-size", str(args.batch_size), "--max-update", str(updates), "--seed", str(args.seed), "--cpu"),
        *("--optimizer", "adam", "--adam-betas", "(0.9, 0.999)", "--weight-decay", "0.01", "--clip-norm", "1.0"),
        *("--lr", str(args.lr), "--lr-scheduler", "polynomial_decay", "--warmup-updates", "50"),
        *("--no-epoch-checkpoints", "--save-dir", checkpoints),
        *("--tensorboard-logdir", out / "tensorboard" / name, "--log-format", "json", "--log-interval", "25"),
    )
    run(out / "logs" / f"to_hf_{name}.log", "ppa-convert", "to-hf", checkpoints / "checkpoint_last.pt", out / name)


def evaluate(out: Path, name: str) -> None:
    """Look the held-out English names up in every other language with the model `out/name`."""
    flags = ("--model", out / name, "--data", out / "retrieval", "--task", "bible", "--sources", corpus.ENGLISH)
    run(out / "logs" / f"evaluate_{name}.log", "ppa-evaluate", "retrieval", *flags, "--output", out / "results.jsonl")


def main() -> None:
    args = options()
    out = args.output if args.output.is_absolute() else Path(os.path.relpath(args.output.resolve(), ROOT))
    os.chdir(ROOT)
    made = ("text", "retrieval", "pretraining", "base-fairseq", "work", "checkpoints", "tensorboard", "report", "logs")
    for name in (*made, *MODELS, CONTROL):  # a second run starts afresh
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "results.jsonl").unlink(missing_ok=True)

    say("A corpus from CLDR: text to train on, names held out")
    make_corpus(out, args)

    say(f"The released base: {args.base_updates} updates of masked LM on the original side")
    preprocess(out, out / "sentencepiece.bpe.model", out / "pretraining")
    train(out, "base", out / "pretraining", args.base_updates, args, "--mlm-sides", "orig", *WITHOUT_ALIGNMENT)

    say("Your path begins here: a Hugging Face directory to fairseq, text to shards")
    run(out / "logs" / "to_fairseq.log", "ppa-convert", "to-fairseq", out / "base", out / "base-fairseq")
    preprocess(out, out / "base-fairseq" / "sentencepiece.bpe.model", out / "work")
    start = ("--finetune-from-model", out / "base-fairseq" / "model.pt")

    say(f"Post-training, {args.updates} updates of masked LM on both sides, without alignment")
    train(out, "mlm", out / "work", args.updates, args, *start, *WITHOUT_ALIGNMENT)

    say(f"Post-training, {args.updates} updates of the full objective")
    train(out, "aligned", out / "work", args.updates, args, *start)

    if args.control:
        say(f"The control, {args.updates} updates of the full objective on shuffled pairs")
        train(out, CONTROL, out / "work", args.updates, args, *start, "--shuffle-pairs")

    say("Retrieval: names that no model has seen, from English")
    for name in (*MODELS, *([CONTROL] if args.control else [])):
        evaluate(out, name)

    say("The table: how often, in percent, the right name is among the ten nearest; chance is about 3")
    flags = ("--baseline", "base", "--output", out / "report")
    run(out / "logs" / "report.log", "ppa-report", out / "results.jsonl", *flags)
    say("Done")
    print(f"    results, one a line   {out}/results.jsonl")
    print(f"    tables and plots      {out}/report/")
    print(f"    every term, plotted   {Path(sys.executable).parent}/tensorboard --logdir {out}/tensorboard")


if __name__ == "__main__":
    main()
