"""The paper in miniature: a small XLM-R pre-trained on real text, post-trained four ways, and measured.

    python examples/miniature/miniature.py --data DIR                 # two cores, one group, retrieval only
    python examples/miniature/miniature.py --data DIR --full --gpu    # a GPU: both groups, three seeds, every task
    python examples/miniature/miniature.py --data DIR --base ENCODER [--gpu]    # a given encoder in place of step 1

DIR holds `corpus/GROUP/LANG.txt`, `corpus/eng/eng_Latn.txt` and the evaluation sets in `eval/`; README.md beside this
file says where each is published. What is made, in the order of `main`:

1. One vocabulary and one encoder for all: masked LM from scratch on the original side of both groups and of English.
   It stands for Glot500, so that every seed below begins with it.
2. For every group and seed four post-trainings with equally many updates: MLM, MLM+SEQ, MLM+TLM, MLM+SEQ+TLM.
3. `ppa-evaluate suite` over the base and the four, and the tables of means over targets, source by source.

With --base the encoder is a Hugging Face directory. `encoder` is as it came, on two cores cut to its first blocks and
to the pieces that occur; `base` is that after --base-updates of masked LM alone, without which what masked LM does to
it would be taken for alignment's doing. Where the encoder has no head for masked LM, a new one is trained alone before,
for --head-updates. SEQ alone starts from `encoder`, the other post-trainings from `base`. All are measured at every
layer; the tables are those of --layer.

The same command goes on where it was killed: each step keeps what it has made. More seeds, variants, groups and tasks
join what an --output has; a setting that would change numbers needs another --output.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import given_encoder
import tables
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from group_shards import ENGLISH, preprocess, pretraining_corpus, romanize, vocabulary
from steps import ROOT, run, say

# Table 1 of the paper, as far as there is text; and the sources of its non-English transfer (`ara_Arab` is `arb_Arab`)
GROUPS = {
    "mediterranean_amharic_farsi": {
        "retrieval": [ENGLISH, "fas_Arab", "ell_Grek", "heb_Hebr"],
        "taxi1500": [ENGLISH, "fas_Arab", "ell_Grek", "heb_Hebr"],
        "sib200": [ENGLISH, "arz_Arab", "ell_Grek", "heb_Hebr"],
        "pos": [ENGLISH, "ell_Grek"],
        "ner": [ENGLISH],
    },
    "south_east_asian": {
        "retrieval": [ENGLISH, "kor_Hang", "zho_Hani"],
        "taxi1500": [ENGLISH, "kor_Hang", "zho_Hani"],
        "sib200": [ENGLISH, "kor_Hang", "yue_Hani", "tha_Thai"],
        "pos": [ENGLISH],
        "ner": [ENGLISH],
    },
}
VARIANTS = {
    "MLM": ("--seq-weight", "0", "--tlm-weight", "0"),
    "MLM+SEQ": ("--tlm-weight", "0"),
    "MLM+TLM": ("--seq-weight", "0"),
    "MLM+SEQ+TLM": (),
}
# beyond the paper: equal texts are no negatives; sub-words of the romanized text are added to the vocabulary
EXTENDED = "MLM+SEQ+TLM, extended vocabulary"
# without masked LM, which an encoder without a head can have: they start from it as it came
_NO_MLM = ("--mlm-weight", "0", "--tlm-weight", "0")
# a control: every sentence beside the romanization of another one
_SHUFFLED = ("--shuffle-pairs",)
WITHOUT_MLM = {
    "SEQ": _NO_MLM,
    "SEQ+TOK": (*_NO_MLM, "--tok-weight", "1"),
    "SEQ, shuffled": (*_NO_MLM, *_SHUFFLED),
}
_SEQ_TOK = ("--tlm-weight", "0", "--tok-weight")
EXTENSIONS = {
    **WITHOUT_MLM,
    # explicit token alignment, and one of its settings at a time
    "MLM+SEQ+TOK": (*_SEQ_TOK, "1"),
    "MLM+SEQ+TLM+TOK": ("--tok-weight", "1"),
    "MLM+SEQ+TOK, weight 0.1": (*_SEQ_TOK, "0.1"),
    "MLM+SEQ+TOK, weight 10": (*_SEQ_TOK, "10"),
    "MLM+SEQ+TOK, layer 4": (*_SEQ_TOK, "1", "--tok-layer", "4"),
    "MLM+SEQ+TOK, l2": (*_SEQ_TOK, "1", "--tok-loss", "l2"),
    "MLM+SEQ+TLM, shuffled": _SHUFFLED,
    "MLM+SEQ+TLM, no duplicates": ("--seq-ignore-duplicates",),
    EXTENDED: (),
}
SIZES = {
    "tiny": ("--arch", "translit_tiny"),
    "small": (
        *("--arch", "glot500_base", "--encoder-embed-dim", "384"),
        *("--encoder-ffn-embed-dim", "1536", "--encoder-attention-heads", "6"),
    ),
}
RETRIEVAL = {"bible": "retrieval", "tatoeba": "tatoeba", "sib": "retrieval_sib"}  # task: folder
FINE_TUNED = {"taxi1500": "taxi1500", "sib200": "sib200", "pos": "udpos", "ner": "ner"}
DATA = RETRIEVAL | FINE_TUNED


@dataclass(frozen=True)
class Settings:
    """What decides the numbers; written beside them. The values here are those of two cores."""

    groups: tuple[str, ...] = ("mediterranean_amharic_farsi",)
    seeds: tuple[int, ...] = (1,)
    size: str = "tiny"
    vocabulary: int = 16000
    pieces: int = 2000
    pretraining_updates: int = 1500
    updates: int = 400
    pretraining_batch: int = 128
    batch: int = 64
    lr: float = 1e-3
    max_tokens: int = 128
    variants: tuple[str, ...] = tuple(VARIANTS)
    tasks: tuple[str, ...] = tuple(RETRIEVAL)
    evaluation_seeds: tuple[int, ...] = (42,)
    epochs: int | None = None
    # of a given encoder
    base: str | None = None
    head_updates: int | None = None
    base_updates: int | None = None
    blocks: int | None = None
    layer: int | None = None


OF_A_GIVEN_BASE = {"base", "head_updates", "base_updates", "blocks", "layer"}
# of a new head, which the encoder below it does not see
HEAD_LR = 1e-3
# of these an output may hold several, made one after the other
GROWING = {"groups", "seeds", "variants", "tasks", "evaluation_seeds"}

FULL = Settings(
    groups=tuple(GROUPS),
    seeds=(1, 2, 3),
    size="small",
    vocabulary=32000,
    pretraining_updates=8000,
    updates=1000,
    pretraining_batch=512,
    batch=256,
    lr=5e-4,
    tasks=(*RETRIEVAL, *FINE_TUNED),
)


_GIVEN = {"variants": (*VARIANTS, "SEQ"), "lr": 2e-5, "layer": 8}
GIVEN = Settings(
    **_GIVEN,
    pretraining_batch=128,
    head_updates=240,
    base_updates=60,
    updates=16,
    blocks=8,
    tasks=("bible", "tatoeba"),
)
GIVEN_ON_A_GPU = Settings(
    **_GIVEN,
    pretraining_batch=256,
    head_updates=700,
    base_updates=2000,
    updates=400,
    batch=128,
    tasks=(*RETRIEVAL, *FINE_TUNED),
)


def main() -> None:
    args = _parser().parse_args()
    settings, data = chosen(args), args.data.resolve()
    out = Path(os.path.relpath(args.output.resolve(), ROOT))
    os.chdir(ROOT)
    keep_settings(out, settings)
    machine = ("--fp16",) if args.gpu else ("--cpu",)

    size = (given_base if settings.base else pretrained_base)(out, data, settings, machine)
    for group in settings.groups:
        post_train(out, data, group, settings, (*size, *machine), args.jobs or (1 if args.gpu else 2))
        say(f"{group}: measured")
        evaluate(out, data, group, settings)
    say("The tables: means over targets, in percent")
    text = tables.markdown(out / "results.jsonl", settings.groups, [*settings.variants], settings.layer)
    (out / "tables.md").write_text(text, encoding="utf-8")
    print(text)
    layer = ("--layer", str(settings.layer)) if settings.base else ()
    run(out / "logs" / "report.log", "ppa-report", out / "results.jsonl", *layer, "--output", out / "report")


def pretrained_base(out: Path, data: Path, settings: Settings, machine: tuple) -> tuple[str, ...]:
    """The base from scratch, from the text of both groups and English; the flags of its size."""
    say("One vocabulary and one encoder, from the text of both groups and English")
    corpus, size = pretraining_corpus(data, tuple(GROUPS)), SIZES[settings.size]
    vocabulary(out, corpus, settings.vocabulary)
    preprocess(out, "pretraining", corpus, out / "sentencepiece.bpe.model", settings.max_tokens)
    train_base(out, settings, (*size, *machine))
    return size


def given_base(out: Path, data: Path, settings: Settings, machine: tuple) -> tuple[str, ...]:
    """The given encoder and the base that masked LM makes of it; the flags of its size."""
    say(f"The encoder {settings.base}" + (f", its first {settings.blocks} blocks" if settings.blocks else ""))
    corpus, start = pretraining_corpus(data, settings.groups), out / "encoder-fairseq"
    romanize(out, "pretraining", corpus, settings.max_tokens)  # so that it is known which pieces occur
    pairs = sorted((out / "work" / "pretraining" / "pairs").iterdir())
    evaluated = sorted(path for task in settings.tasks for path in (data / "eval" / DATA[task]).rglob("*.*"))
    text = [path for path in (*pairs, *evaluated) if path.is_file()]
    size, new_head = given_encoder.prepare(settings.base, start, text, settings.blocks)
    if not (out / "models" / "encoder" / "model.safetensors").is_file():
        run(out / "logs" / "to_hf_encoder.log", "ppa-convert", "to-hf", start / "model.pt", out / "models" / "encoder")
    if not settings.base_updates:
        raise SystemExit("error: --base-updates 0: the post-trainings need a base with a trained head; give it updates")
    preprocess(out, "pretraining", corpus, start / "sentencepiece.bpe.model", settings.max_tokens)
    first = start / "model.pt"
    if new_head:
        say("A new masked-LM head, the encoder frozen")
        flags = (*size, *machine, "--finetune-from-model", first, "--freeze-encoder", *VARIANTS["MLM"])
        train(out, "head", "pretraining", 1, replace(settings, lr=HEAD_LR), (*flags, "--mlm-sides", "orig"))
        first = out / "checkpoints" / "head" / "checkpoint_last.pt"
    say("The base: masked LM on the original sides")
    train_base(out, settings, (*size, *machine, "--finetune-from-model", first))
    return size


def train_base(out: Path, settings: Settings, flags: tuple) -> None:
    """Masked LM on the original sides, from scratch or from what `flags` name: the base of the post-trainings."""
    train(out, "base", "pretraining", 1, settings, (*flags, "--mlm-sides", "orig", *VARIANTS["MLM"]))
    if not (out / "base-fairseq" / "model.pt").is_file():
        run(out / "logs" / "to_fairseq.log", "ppa-convert", "to-fairseq", out / "models" / "base", out / "base-fairseq")


def post_train(out: Path, data: Path, group: str, settings: Settings, flags: tuple, jobs: int) -> None:
    """Every variant of a group with every seed, from the base or, one of them, from the base with more sub-words.

    Runs side by side have one thread each: faster than one run on all cores, and the same
    numbers on any number of them.
    """
    text = {path.stem: path for path in sorted((data / "corpus" / group).glob("*.txt"))}
    base, extended = out / "base-fairseq", out / "extended" / group
    with_blocks = any("--tok-weight" in (VARIANTS | EXTENSIONS)[variant] for variant in settings.variants)
    preprocess(out, group, text, base / "sentencepiece.bpe.model", settings.max_tokens, with_blocks)
    if EXTENDED in settings.variants:
        if not (extended / "model.pt").is_file():
            more = ("--text", out / "work" / group / "pairs", "--pieces", str(settings.pieces))
            run(out / "logs" / f"extend_{group}.log", "ppa-convert", "extend", base, extended, *more)
        preprocess(out, f"{group}-extended", text, extended / "sentencepiece.bpe.model", settings.max_tokens)
    environment = {} if jobs == 1 else {"OMP_NUM_THREADS": "1"}

    def one(seed: int, variant: str) -> None:
        say(f"{group}: {variant}, seed {seed}, {settings.updates} updates")
        start, work = (extended, f"{group}-extended") if variant == EXTENDED else (base, group)
        if variant in WITHOUT_MLM and settings.base:
            start = out / "encoder-fairseq"
        more = ("--finetune-from-model", start / "model.pt", *(VARIANTS | EXTENSIONS)[variant])
        if settings.base:  # the paper's contrast and means, and its layer, whatever the number of blocks
            more += ("--seq-negatives", "64", "--mlm-group", "16", "--seq-layer", str(settings.layer))
        train(out, model_name(group, variant, seed), work, seed, settings, (*flags, *more), environment)

    pool = ThreadPoolExecutor(jobs)
    try:
        for done in [pool.submit(one, seed, variant) for seed in settings.seeds for variant in settings.variants]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def model_name(group: str, variant: str, seed: int) -> str:
    """The directory of a post-trained model, and its name in results: `GROUP/VARIANT/seed1`."""
    return f"{group}/{variant}/seed{seed}"


def keep_settings(out: Path, settings: Settings) -> None:
    """Write settings.json, or stop where what `out` holds was made with others."""
    unset = {name for name in OF_A_GIVEN_BASE if getattr(settings, name) is None}
    deciding = {name: value for name, value in asdict(settings).items() if name not in GROWING | unset}
    text = json.dumps(deciding, indent=1) + "\n"
    path = out / "settings.json"
    if path.is_file() and path.read_text() != text:
        raise SystemExit(f"error: {out} was made with other settings ({path}); give another --output")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def train(
    out: Path, name: str, work: str, seed: int, settings: Settings, flags: tuple, environment: dict | None = None
) -> None:
    """Train on a group's shard and write the last checkpoint as the Hugging Face directory `out/models/NAME`."""
    if (out / "models" / name / "model.safetensors").is_file():
        return
    updates, batch = settings.updates, settings.batch
    if name in ("head", "base"):
        updates, batch = settings.base_updates or settings.pretraining_updates, settings.pretraining_batch
    if name == "head":
        updates = settings.head_updates
    checkpoints, log = out / "checkpoints" / name, name.replace("/", "_")
    run(
        out / "logs" / f"train_{log}.log",
        *("fairseq-train", out / "work" / work / "data-bin" / "shard00", "--user-dir", "ppa_plugin"),
        *("--task", "translit_alignment", "--criterion", "translit_alignment", *flags),
        *("--batch-size", str(batch), "--max-update", str(updates), "--seed", str(seed)),
        *("--optimizer", "adam", "--adam-betas", "(0.9, 0.999)", "--weight-decay", "0.01", "--clip-norm", "1.0"),
        *("--lr", str(settings.lr), "--lr-scheduler", "polynomial_decay", "--warmup-updates", str(updates // 10)),
        *("--disable-validation", "--no-epoch-checkpoints"),
        *("--save-interval-updates", "500", "--keep-interval-updates", "1", "--save-dir", checkpoints),
        *("--tensorboard-logdir", out / "tensorboard" / name, "--log-format", "json", "--log-interval", "50"),
        environment=environment,
        label=f"{name}: " if environment else "",
    )
    target = out / "models" / name
    run(out / "logs" / f"to_hf_{log}.log", "ppa-convert", "to-hf", checkpoints / "checkpoint_last.pt", target)


def evaluate(out: Path, data: Path, group: str, settings: Settings) -> None:
    """Every task of a group by `ppa-evaluate suite`, base and post-trained models alike."""
    languages = [path.stem for path in sorted((data / "corpus" / group).glob("*.txt"))]
    trained = [model_name(group, variant, seed) for seed in settings.seeds for variant in settings.variants]
    names = [*(["encoder"] if settings.base else []), "base", *trained]
    sources = GROUPS[group]
    tasks = {}
    for task in settings.tasks:
        folder = data / "eval" / DATA[task]
        if task in RETRIEVAL:
            tasks[task] = {"sources": [ENGLISH] if task == "tatoeba" else sources["retrieval"]}
            if settings.base:
                tasks[task]["layer"] = "all"
        else:
            tasks[task] = {"sources": sources[task], "seeds": list(settings.evaluation_seeds)}
            if settings.epochs:
                tasks[task]["epochs"] = settings.epochs
        tasks[task] |= {"data": str(folder), "targets": targets(folder, task, languages)}
    models = [{"path": str((out / "models" / name).resolve()), "name": name} for name in names]
    config = out / f"suite_{group}.yaml"
    config.write_text(yaml.safe_dump({"models": models, "tasks": tasks}, sort_keys=False), encoding="utf-8")
    log = out / "logs" / f"suite_{group}.log"
    run(log, "ppa-evaluate", "suite", "--config", config, "--output", out / "results.jsonl")


def targets(folder: Path, task: str, languages: list[str]) -> list[str]:
    """The group's languages that a task has."""
    from ppa_plugin.evaluation.retrieval.readers import RetrievalSet

    if task in RETRIEVAL:
        found = RetrievalSet(folder, task).languages
    else:
        found = [path.name for path in folder.iterdir() if path.is_dir()]
    # Tatoeba's Arabic is `ara_Arab`
    present = [lang for lang in languages if lang in found]
    return [*present, *(["ara_Arab"] if "arb_Arab" in languages and "ara_Arab" in found else [])]


def chosen(args: argparse.Namespace) -> Settings:
    """The settings of `--full`, of a given encoder or of two cores, with what the command line changes."""
    settings = FULL if args.full else Settings()
    if args.base:
        settings = GIVEN_ON_A_GPU if args.gpu else GIVEN
    given = {name: getattr(args, name) for name in asdict(settings) if getattr(args, name, None) is not None}
    settings = replace(settings, **given)
    unknown = [name for name in settings.groups if name not in GROUPS]
    unknown += [name for name in settings.variants if name not in VARIANTS | EXTENSIONS]
    if unknown:
        raise SystemExit(f"error: {unknown[0]} is none of {', '.join([*GROUPS, *VARIANTS, *EXTENSIONS])}")
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument

    def several(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(";"))

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split(","))

    add("--data", type=Path, required=True, metavar="DIR", help="corpora and evaluation sets")
    add("--output", type=Path, default=Path("runs/miniature"), metavar="DIR", help="default: %(default)s")
    add("--full", action="store_true", help="both groups, three seeds, every task, 12 layers: for a GPU")
    add("--gpu", action="store_true", help="train on a GPU in FP16 (default: on the CPU)")
    add("--base", metavar="DIR", help="a Hugging Face directory to post-train, in place of one from scratch")
    add("--blocks", type=int, metavar="N", help="cut --base to N blocks and to the pieces that occur (CPU: 8)")
    add("--head-updates", type=int, metavar="N", help="of a new head alone, if --base has none (CPU: 240, GPU: 700)")
    add("--base-updates", type=int, metavar="N", help="masked LM on --base before the four (CPU: 60, GPU: 2000)")
    add("--layer", type=int, metavar="N", help="of --base, whose output SEQ pools and the tables show (default: 8)")
    add("--groups", type=several, metavar="G;...", help="of " + ", ".join(GROUPS))
    add("--variants", type=several, metavar="V;...", help="of " + "; ".join([*VARIANTS, *EXTENSIONS]))
    add("--tasks", type=several, metavar="T;...", help="of " + "; ".join([*RETRIEVAL, *FINE_TUNED]))
    add("--size", choices=SIZES, help="tiny: 4 layers x 128; small: 12 layers x 384")
    add("--seeds", type=numbers, metavar="N,...", help="of post-training")
    add("--evaluation-seeds", type=numbers, metavar="N,...", help="of fine-tuning")
    for name in [*(name for name, value in asdict(FULL).items() if isinstance(value, int)), "epochs"]:
        add(f"--{name.replace('_', '-')}", type=int)
    add("--lr", type=float, help="peak learning rate")
    add("--jobs", type=int, metavar="N", help="post-trainings side by side (default: 2 on a CPU, 1 on a GPU)")
    return parser


if __name__ == "__main__":
    main()
