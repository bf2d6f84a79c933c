"""Rows of bad input: flags and numbers, of command lines and of YAML files."""

from collections.abc import Callable
from pathlib import Path

from bad_input import Row

HUGE = "9" * 5000
_TRAIN = (
    "fairseq-train data --task translit_alignment --criterion translit_alignment --arch translit_tiny --optimizer adam "
    "--lr 1e-3 --lr-scheduler polynomial_decay --max-update 4 --batch-size 8"
)
_RETRIEVAL = "ppa-evaluate retrieval --model m --data d --task bible --sources eng_Latn --output out.jsonl"
_CLASSIFY = "ppa-evaluate classify --model m --data d --task sib200 --sources eng_Latn --output out.jsonl"
_TAG = "ppa-evaluate tag --model m --data d --task ner --sources eng_Latn --output out.jsonl"
_SELECT = "ppa-evaluate select --checkpoints c --data d --output out.jsonl"
_SCRIPTS = "ppa-evaluate scripts --model m --data d --task sib --output out.jsonl"
_TOKENS = "ppa-evaluate tokens --model m --data d --task sib --output out.jsonl"
_WORDS = "ppa-evaluate tokens --model m --parallel t --alignments a --languages eng_Latn,ell_Grek --output out.jsonl"
_VOCABULARY = "ppa-evaluate vocabulary --model m --pairs d --output out.jsonl"
_OF_TEXT = "ppa-evaluate vocabulary --model m --data d --output out.jsonl"
_SUITE = "ppa-evaluate suite --config suite.yaml"
_ALL = "ppa-preprocess all --config group.yaml --input in --spm spm.model --output out"
_VERIFY = "ppa-preprocess verify --output out"
_ONE_FILE = "ppa-preprocess romanize --input in.txt --output out.txt"
_EXTEND = "ppa-convert extend model out --text text.latn"


def training(flag: str, *values: str) -> list[Row]:
    """Values that a flag of training refuses by its range, which the message ends in: `--flag value is not RANGE`."""
    *values, allowed = values
    return [Row(f"{_TRAIN} --{flag}='{value}'", (f"error: --{flag} ", f"is not {allowed}")) for value in values]


def refused(line: str, flag: str, *values: str) -> list[Row]:
    """Values that the parser of one of our commands refuses, each with what the last of `values` says."""
    *values, allowed = values
    return [Row(f"{line} --{flag}={value}", (f"argument --{flag}: ", allowed)) for value in values]


def _one_file(directory: Path) -> None:
    (directory / "in.txt").write_text("a line\n", encoding="utf-8")


def _bible(directory: Path) -> None:
    (directory / "d").mkdir()
    for code in ("ell_Grek", "eng_Latn"):
        (directory / f"d/bible.ell_Grek-eng_Latn.{code}").write_text("a line\n", encoding="utf-8")


def _manifest(content: str) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        (directory / "work/shard00").mkdir(parents=True)
        (directory / "work/manifest.json").write_text(content, encoding="utf-8")

    return make


def group(content: str, *says: str) -> Row:
    """A line, or lines, in the file of a group."""

    def make(directory: Path) -> None:
        text = f"name: g\n{content}\n" + ("" if "languages" in content else "languages: {tur_Latn: {}}\n")
        (directory / "group.yaml").write_text(text, encoding="utf-8")

    return Row(_ALL, ("group.yaml", *says), make, name=f"group: {content}")


def suite(task: str, content: str, *says: str) -> Row:
    """A setting of a task in the file of a suite."""

    def make(directory: Path) -> None:
        task_line = f"  {task}: {{data: d, sources: [eng_Latn], {content}}}\n"
        (directory / "suite.yaml").write_text(f"output: out.jsonl\nmodels: [m]\ntasks:\n{task_line}", encoding="utf-8")

    return Row(_SUITE, ("suite.yaml", f"tasks.{task}", *says), make, name=f"suite: {task}: {content}")


# values of --romanizer, and what is said of each
_ROMANIZERS = {
    "''": "--romanizer is '', known are: ",
    "uroman,no.module:Here": "--romanizer is 'no.module:Here', which cannot be imported",
    "greek=uroman": "--romanizer: 'greek' is not a language code such as zho_Hani",
    "uroman,icu=uroman": "--romanizer: 'icu' is not a language code",
    "uroman,uroman": "--romanizer uroman,uroman names two romanizers for all languages",
    "ell=uroman,ell_Grek=uroman": "names two romanizers for ell_Grek",
    "work/data-bin": "cannot read --romanizer work/data-bin: No such file or directory",
    "manifest.json": "cannot read --romanizer manifest.json: No such file or directory",
    "..": "has the manifest.json of ppa-preprocess",
}
_POSITIVE = "is not a positive whole number"
_NATURAL = "is not a whole number of at least 0"
_TOO_LARGE = "to 2147483647"

ROWS = [
    # the objective
    *(
        row
        for flag in ("mlm-weight", "seq-weight", "tlm-weight")
        for row in training(flag, "-1", "nan", "inf", "1e7", "a number from 0 to 1000000")
    ),
    *training("seq-temperature", "0", "-1", "nan", "inf", "1e-30", "1e30", "a number from 0.0001 to 10000"),
    *training("seq-negatives", "1", "0", "-4", "a whole number of at least 2"),
    *training("seq-layer", "-1", "1001", "a whole number from 0 to 1000"),
    *training("tok-layer", "-1", "1001", "a whole number from 0 to 1000"),
    *training("tok-negatives", "0", "4097", "a whole number from 1 to 4096"),
    # the data
    *training("sampling-alpha", "nan", "-0.5", "inf", "a number from 0 to 10"),
    *training("mask-prob", "1.5", "-0.1", "nan", "a number from 0 to 1"),
    *training("mask-keep", "2", "nan", "a number from 0 to 1"),
    *training("mask-random", "-1", "inf", "a number from 0 to 1"),
    Row(f"{_TRAIN} --mask-keep 0.6 --mask-random 0.6", "--mask-keep 0.6 and --mask-random 0.6 add up to more than 1"),
    *training("max-positions", "4", "0", "-512", "999999999", "a whole number from 5 to 1048576"),
    # the model
    *training("encoder-layers", "0", "-1", "999999999", "a whole number from 1 to 1000"),
    *training("encoder-attention-heads", "0", "-2", "a whole number from 1 to 1048576"),
    *training("encoder-embed-dim", "0", "999999999", "a whole number from 1 to 1048576"),
    *training("encoder-ffn-embed-dim", "0", "a whole number from 1 to 1048576"),
    *(
        row
        for flag in ("dropout", "attention-dropout", "activation-dropout")
        for row in training(flag, "2", "1", "-0.1", "nan", "a number from 0 to below 1")
    ),
    *training("padding-rows", "-1", "a whole number from 0 to 16777216"),
    # stock fairseq: batches, length, optimizer, schedule
    *training("batch-size", "-3", "0", "a positive whole number"),
    *training("batch-size", "99999999999", f"a whole number from 1 {_TOO_LARGE}"),
    *training("max-tokens", "0", "-1", "a positive whole number"),
    *training("update-freq", "0", "-1", "1,0", "a whole number from 1 to 1000000"),
    *training("max-update", "-1", "a whole number of at least 0"),
    *training("max-epoch", "-1", "a whole number of at least 0"),
    *training("num-workers", "-1", "100000", "a whole number from 0 to 1024"),
    *training("lr", "-1e-5", "1e999", "1e-5,-1", "a number from 0 to 100"),
    *training("clip-norm", "nan", "-1", "a number of at least 0"),
    *training("clip-norm", "inf", "a number from 0 to 1000000000"),
    *training("weight-decay", "nan", "-0.01", "inf", "a number from 0 to 100"),
    *training("adam-eps", "0", "nan", "-1e-8", "a number above 0 and at most 1"),
    *training("adam-betas", "(0.9, 1)", "(-1, 0.9)", "nan", "a number from 0 to below 1"),
    *training("adam-betas", "(0.9,)", "0.9", "numbers such as (0.9, 0.999)"),
    *training("warmup-updates", "-1", "a whole number of at least 0"),
    *training("total-num-update", "0", "nan", "-5", "a number from 1 to 2147483647"),
    *training("end-learning-rate", "-1", "nan", "a number from 0 to 100"),
    *training("power", "nan", "-1", "a number from 0 to 100"),
    *training("fp16-init-scale", "0", "-4", "a whole number from 1 to 1073741824"),
    *training("min-loss-scale", "nan", "0", "a number above 0 and at most 1073741824"),
    *training("stop-time-hours", "nan", "-1", "a number of at least 0"),
    # stock fairseq: validating, saving, the draw, processes
    *training("validate-interval", "0", "a positive whole number"),
    *training("save-interval", "0", "-1", "a positive whole number"),
    *training("save-interval-updates", "-1", "a whole number of at least 0"),
    *training("validate-interval-updates", "-1", "a whole number of at least 0"),
    *training("keep-interval-updates", "-2", "a whole number of at least -1"),
    *training("keep-last-epochs", "-2", "a whole number of at least -1"),
    *training("log-interval", "0", "a positive whole number"),
    *training("patience", "-2", "a whole number of at least -1"),
    *training("seed", "-1", "4294967296", "a whole number from 0 to 4294967295"),
    *training("distributed-world-size", "0", "-1", "a whole number from 1 to 1048576"),
    *training("distributed-port", "65536", "a whole number from -1 to 65535"),
    # what is no number at all
    Row(f"{_TRAIN} --lr abc", "argument --lr: abc is neither a number nor several, such as 1,2"),
    Row(f"{_TRAIN} --lr '[]'", "--lr [] is not one number or several"),
    Row(f"{_TRAIN} --lr nan", "argument --lr: nan is neither a number"),
    Row(f"{_TRAIN} --lr '__import__(\"os\").nothing'", "argument --lr: "),
    Row(f"{_TRAIN} --update-freq 2.5", "argument --update-freq: 2.5 is neither a whole number"),
    Row(f"{_TRAIN} --update-freq '4 4'", "argument --update-freq: 4 4 is neither a whole number"),
    Row(f"{_TRAIN} --batch-size 1.5", "argument --batch-size"),
    Row(f"{_TRAIN} --dropout much", "argument --dropout"),
    Row(f"{_TRAIN} --seed {HUGE}", "argument --seed"),
    # what is left out
    Row(_TRAIN.replace(" --batch-size 8", ""), "--batch-size or --max-tokens is needed"),
    Row(_TRAIN.replace(" --max-update 4", ""), "polynomial_decay needs --max-update, the update at which it ends"),
    Row(f"{_TRAIN} --mlm-weight 0 --seq-weight 0 --tlm-weight 0", "are all 0: nothing to train"),
    Row(f"{_TRAIN} --freeze-encoder", "--freeze-encoder trains the masked-LM head alone: give it --mlm-weight"),
    Row(f"{_TRAIN} --freeze-encoder --mlm-weight 0 --tlm-weight 0", "or --tlm-weight, and --seq-weight 0"),
    Row(f"{_TRAIN} --shuffle-pairs --tok-weight 1", "leave --tok-weight at 0"),
    # ppa-preprocess
    *refused(_VERIFY, "sample", "-1", "many", "1.5", _NATURAL),
    *refused(_VERIFY, "sample", "99999999999", "is not a whole number from 0 to 2147483647"),
    *refused(_VERIFY, "sample", HUGE, "is not a whole number"),
    *refused(f"{_VERIFY} --plan", "passes", "0", "-2", "nan", _POSITIVE),
    *refused(f"{_VERIFY} --plan", "batch", "0", "1e3", _POSITIVE),
    *refused(f"{_VERIFY} --plan", "pairs", "-1", "many", _POSITIVE),
    Row(f"{_VERIFY} --plan --arch bert", "--arch bert is none of glot500_base"),
    Row(f"{_VERIFY} --passes 2", "--passes says how to train and is for --plan; add --plan"),
    *refused(_ALL, "workers", "0", "-1", "two", "1000000", "is not a whole number from 1 to 1024"),
    *refused(_ALL, "shards", "0", "-1", "99999", "x", "is not a whole number from 1 to 10000"),
    *refused(_ALL, "valid-size", "-1", "some", _NATURAL),
    Row(f"{_ALL} --shards {HUGE}", ("argument --shards: 999", "... is not a whole number")),
    group("seed: -1", "seed is -1, expected a whole number from 0 to 4294967295"),
    group("seed: .nan", "seed is nan"),
    group(f"seed: 0x{'f' * 5000}", "seed is a number of thousands of digits, expected a whole number"),
    group("seed: yes", "seed is True"),
    group("shards: 0", "shards is 0, expected a whole number from 1 to 10000"),
    group("shards: 2.0", "shards is 2, expected a whole number"),
    group("shards: '2'", "shards is '2', expected a whole number"),
    group("valid_size: -1", "valid_size is -1"),
    group("valid_size: .inf", "valid_size is inf"),
    group("max_tokens: 2", "max_tokens is 2, expected a whole number from 3 to"),
    group("sampling: {share: .nan}", "sampling.share is nan, expected a number from 0 to 1"),
    group("sampling: {share: -.inf}", "sampling.share is -inf"),
    group("sampling: {share: 1e1}", "sampling.share is"),
    group("sampling: {share: true}", "sampling.share is True"),
    group("sampling: {min_lines: .inf}", "sampling.min_lines is inf"),
    group("sampling: {min_lines: -5}", "sampling.min_lines is -5"),
    group("sampling: {min_lines: 99999999999}", "sampling.min_lines is 99999999999, expected a whole number from 0 to"),
    group("filters: {min_chars: .nan}", "filters.min_chars is nan"),
    group("filters: {min_chars: 5, max_chars: 4}", "filters.max_chars is 4, expected a whole number of at least 5"),
    group("filters: {script_share: .nan}", "filters.script_share is nan"),
    group("filters: {script_share: 2}", "filters.script_share is 2, expected a number from 0 to 1"),
    group("filters: {exclude: eval}", "filters.exclude is 'eval', expected a list of files and directories"),
    group("filters: {exclude: [3]}", "filters.exclude is [3], expected a list"),
    group("filters: {exclude: [a, a]}", "filters.exclude names one file or directory twice: a, a"),
    group("filters: {exclude: [missing]}", "filters.exclude: cannot read ", "missing: No such file"),
    group("filters: {exclude: [.]}", "filters.exclude: ", "holds no evaluation file; looked for names such as bible."),
    group("romanizer: []", "romanizer is an empty list, expected one romanizer or several, such as [uroman, pypinyin]"),
    group("romanizer: 3", "romanizer is 3, expected a mapping"),
    group("romanizer: [uroman, uroman]", "romanizer names uroman twice"),
    group(
        "romanizer: yadda", "romanizer.name is 'yadda', known are: uroman, ", "name your own as package.module:Class"
    ),
    group("romanizer: '..x:Y'", "romanizer.name is '..x:Y', which cannot be imported"),
    group(f"romanizer: [{', '.join(map(str, range(5000)))}]", "romanizer names 5,000, expected at most 100"),
    group("languages: {x_Latn: {romanizer: [yadda]}}", "languages.x_Latn: romanizer.name is 'yadda', known are: "),
    group("languages: {x_Latn: {romanizer: [{name: uroman, lang: x}]}}", "romanizer has an unknown key 'lang'"),
    Row(f"{_ONE_FILE} --romanizer yadda", "--romanizer is 'yadda', known are: uroman, ", _one_file),
    Row(f"{_ONE_FILE} --romanizer no:Where", "--romanizer is 'no:Where', which cannot be imported", _one_file),
    # ppa-convert
    *refused(_EXTEND, "pieces", "0", "-5", "some", "nan", _POSITIVE),
    *refused(f"{_EXTEND} --pieces 5", "lines", "0", "-1", "1e6", _POSITIVE),
    Row(f"{_EXTEND} --pieces {HUGE}", "argument --pieces: 999"),
    Row("ppa-convert extend model out", ("--init merge", "pass --text and --pieces, or --init mean|max")),
    Row(f"{_EXTEND} --init max", ("--init max", "takes no --text; leave it out")),
    *refused("ppa-convert to-fairseq m out", "seed", "-1", "4294967296", "is not a whole number from 0 to 4294967295"),
    Row("ppa-convert to-fairseq m out --new-head --seed one", "argument --seed: one is not a whole number"),
    Row("ppa-convert to-hf", "required"),
    Row("ppa-convert to-hg m out", "invalid choice: 'to-hg'"),
    # ppa-evaluate
    *refused(_RETRIEVAL, "layer", "-1", "8,x", "1.5", "8,", "", HUGE, "nor layers such as 0,4,8, nor all"),
    *refused(_RETRIEVAL, "batch-size", "0", "-3", "nan", _POSITIVE),
    *refused(_RETRIEVAL, "max-tokens", "0", "many", _POSITIVE),
    *refused(_RETRIEVAL, "step", "-5", "1.5", _NATURAL),
    *refused(_RETRIEVAL, "pool", "max", "invalid choice: 'max'"),
    *refused(_RETRIEVAL, "precision", "fp7", "invalid choice: 'fp7'"),
    Row(_RETRIEVAL.replace("eng_Latn", "english"), "'english' is not a language code such as"),
    Row(_RETRIEVAL.replace("eng_Latn", "eng_Latn,eng_Latn"), "eng_Latn is named twice in eng_Latn,eng_Latn"),
    Row(_RETRIEVAL.replace("eng_Latn", ","), "is not a language code"),
    # what romanizes
    *(
        Row(f"{line} --romanizer uroman", ("--romanizer says what romanizes the text", "; pass --input latn too"))
        for line in (_RETRIEVAL, _CLASSIFY, f"{_TAG} --input orig")
    ),
    *(
        Row(f"{line} --romanizer=yadda", "--romanizer is 'yadda', known are: uroman, pypinyin, pythainlp, ")
        for line in (*(f"{of} --input latn" for of in (_RETRIEVAL, _CLASSIFY, _TAG)), _TOKENS, _OF_TEXT)
    ),
    *(Row(f"{_RETRIEVAL} --input latn --romanizer={value}", says) for value, says in _ROMANIZERS.items()),
    Row(
        f"{_RETRIEVAL} --input latn --romanizer ell_Grek=uroman,zho_Hani=uroman",
        "a romanizer is named for zho_Hani, of which d has no text; found: ell_Grek, eng_Latn",
        _bible,
    ),
    Row(f"{_RETRIEVAL} --input latn --romanizer work", "work/manifest.json is not valid JSON", _manifest("{")),
    Row(f"{_RETRIEVAL} --input latn --romanizer work/shard00", "manifest.json is not a JSON object", _manifest("3")),
    Row(f"{_TOKENS} --romanizer work/manifest.json", "work/manifest.json is no manifest.json of ppa", _manifest("{}")),
    Row(f"{_WORDS} --romanizer uroman", "--romanizer is of --data; leave it out with --parallel"),
    Row(f"{_VOCABULARY} --romanizer uroman", "--romanizer is of --data; leave it out with --pairs"),
    suite("bible", "romanizer: uroman", "romanizer says what romanizes the text", "; add input: latn"),
    suite("ner", "input: latn, romanizer: yadda", "tasks.ner: romanizer is 'yadda', known are: uroman"),
    suite("ner", "input: latn, romanizer: 3", "tasks.ner: romanizer is 3, expected a text"),
    suite("bible", "input: latn, romanizer: {zho_Hani: icu}", "romanizer is {'zho_Hani': 'icu'}, expected a text"),
    suite("bible", "input: latn, romanizer: greek=uroman", "tasks.bible: romanizer: 'greek' is not a language code"),
    suite("sib200", "input: latn, romanizer: gone/data-bin", "romanizer gone/data-bin: No such file or directory"),
    suite("sib200", "input: [latn]", "tasks.sib200: input is ['latn'], expected orig or latn"),
    *(
        Row(f"{line} --seeds={seeds}", ("--seeds", "whole numbers from 0 to 2^32 - 1 between commas, such as 42,43"))
        for line in (_CLASSIFY, _TAG)
        for seeds in ("-1", "42,", "42,x", "4294967296", "4.2", HUGE)
    ),
    Row(f"{_CLASSIFY} --seeds 42,42", "a seed stands twice"),
    *refused(_CLASSIFY, "learning-rate", "0", "nan", "inf", "-1e-5", "11", "is not a number above 0 and at most 10"),
    *refused(_CLASSIFY, "epochs", "0", "1.5", HUGE, "is not a"),
    *refused(_CLASSIFY, "batch-size", "0", "-1", _POSITIVE),
    *refused(_CLASSIFY, "warmup", "-1", "x", _NATURAL),
    *refused(_TAG, "accumulation", "0", _POSITIVE),
    *refused(_TAG, "max-length", "0", "-5", _POSITIVE),
    *refused(_TAG, "weight-decay", "nan", "-1", "is not a number from 0 to 100"),
    *refused(_TAG, "adam-eps", "0", "inf", "is not a number above 0 and at most 1"),
    *refused(_TAG, "clip-norm", "-1", "nan", "is not a number of at least 0"),
    *refused(_TAG, "clip-norm", "inf", "is not a number from 0 to 1000000000"),
    *refused(_TAG, "patience", "0", _POSITIVE),
    *refused(_SELECT, "layer", "-1", "all", HUGE, _NATURAL),
    *refused(_SCRIPTS, "sentences", "0", "-1", _POSITIVE),
    *refused(_SCRIPTS, "seed", "-1", "4294967296", "is not a whole number from 0 to 4294967295"),
    *refused(_SCRIPTS, "layers", "-1", "some", "nor layers such as 0,4,8, nor all"),
    *refused(_SCRIPTS, "projection", "x", "nor layers such as 0,4,8, nor all"),
    *refused(_SCRIPTS, "batch-size", "0", _POSITIVE),
    *refused(_TOKENS, "sentences", "0", "-1", _POSITIVE),
    *refused(_TOKENS, "group", "0", "eight", _POSITIVE),
    *refused(_TOKENS, "seed", "-1", "4294967296", "is not a whole number from 0 to 4294967295"),
    *refused(_TOKENS, "layers", "-1", "some", "nor layers such as 0,4,8, nor all"),
    *refused(_TOKENS, "map-layer", "-1", "all", HUGE, _NATURAL),
    Row(f"{_TOKENS} --map greek", "'greek' is not a language code such as"),
    *refused(_TOKENS, "batch-size", "0", _POSITIVE),
    Row(f"{_TOKENS} --alignments a", "--alignments is of --parallel FILE, and --data has no such text"),
    Row(_TOKENS.replace(" --task sib", ""), "--data needs --task, which says which files in it"),
    Row(_TOKENS.replace("--data d ", ""), "one of the arguments --data --parallel is required"),
    Row(f"{_TOKENS} --parallel t", "argument --parallel: not allowed with argument --data"),
    Row(_TOKENS.replace("--data d", "--data="), "holds no sib files"),
    Row(_WORDS.replace("--parallel t", "--parallel="), "cannot read : No such file or directory"),
    Row(_WORDS, "cannot read t: No such file or directory"),
    Row(_WORDS.replace("--alignments a ", ""), "--parallel needs --alignments FILE, the links of its"),
    Row(_WORDS.replace(",ell_Grek", ""), "--languages with those of its columns, such as eng_Latn,ell_Grek"),
    Row(f"{_WORDS} --task sib", "--task is of --data; leave it out with --parallel"),
    Row(f"{_WORDS} --map ell_Grek", "--map is of --data; leave it out"),
    Row(f"{_WORDS} --map-layer 0", "--map-layer is of --data; leave it out"),
    *refused(_VOCABULARY, "lines", "0", "-1", _POSITIVE),
    *refused(_VOCABULARY, "workers", "0", "999999", "is not a whole number from 1 to 1024"),
    *refused(_SUITE, "jobs", "-1", "many", "999999", "is not a whole number from 0 to 1024"),
    *refused(_SUITE, "array", "0/4", "5/4", "4", "a/b", "1/2/3", f"{HUGE}/{HUGE}", "is not I/N with I from 1 to N"),
    suite("ner", "epochs: .nan", "epochs: nan is not a positive whole number"),
    suite("ner", "epochs: yes", "epochs: True is not a positive whole number"),
    suite("ner", "learning_rate: .inf", "learning_rate: inf is not a number"),
    suite("ner", f"batch_size: 0x{'f' * 5000}", "batch_size: a number of thousands of digits is not"),
    suite("ner", "seeds: [.nan]", "a seed is nan, expected a whole number from 0 to 4294967295"),
    suite("ner", "seeds: [-1]", "a seed is -1"),
    suite("ner", "seeds: [true]", "a seed is True"),
    suite("ner", "seeds: 42", "seeds is 42, expected a list such as [42, 43]"),
    suite("sib200", "clip_norm: -1", "clip_norm: -1 is not a number of at least 0"),
    suite("bible", "layer: .nan", "layer is nan, expected a whole number of at least 0"),
    suite("bible", "layer: -1", "layer is -1"),
    suite("bible", "layer: [0, 1.5]", "layer is 1.5"),
    suite("bible", "batch_size: .inf", "batch_size is inf"),
    suite("bible", "max_tokens: 0", "max_tokens is 0, expected a positive whole number"),
    # ppa-report
    *refused("ppa-report r.jsonl --output out", "layer", "-1", "x", "nan", "is not a whole number of at least 0"),
    Row("ppa-report --output out", "required: results.jsonl"),
    Row("ppa-report r.jsonl", "required: --output"),
]
