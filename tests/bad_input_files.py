"""Rows of bad input: files of anyone's making, and places that cannot be written to."""

import functools
import json
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from bad_input import Row
from made_up_shards import write_shards
from whole_model import TEXT, config, write_checkpoint, write_model

from ppa_plugin.model import checkpoint, names

DEEP = 100_000


def write_bitext(directory: Path) -> Path:
    """`data/`: Tatoeba's files of one language."""
    (directory / "data").mkdir()
    for code in ("ell", "eng"):
        (directory / f"data/tatoeba.ell-eng.{code}").write_text("\n".join(TEXT) + "\n")
    return directory / "data"


def _text(name: str, text: str | bytes) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    return make


def _all(*makers: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        for maker in makers:
            maker(directory)

    return make


# YAML and JSON

_ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
_MERGES = "m0: &m0 {x: 1}\n" + "".join(f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}\n" for i in range(1, 60))
YAML = {
    "nested lists": ("a: " + "[" * DEEP, "cannot be read as YAML: it is nested too deeply"),
    "nested mappings": ("{a: " * DEEP, "nested too deeply"),
    "a date that is none": ("name: 2026-13-01\n", "is not valid YAML: month must be in 1..12"),
    "a long number": (f"seed: {'9' * 5000}\n", "is not valid YAML: Exceeds the limit"),
    "a tag that does not fit": ("seed: !!int foo\n", "is not valid YAML: invalid literal for int()"),
    "a list for a key": ("? [a, b]\n: 1\n", "is not valid YAML: while constructing a mapping"),
    "a Python object": ("name: !!python/object/apply:os.mkdir [made]\n", "is not valid YAML: could not determine"),
    "aliases that grow": (_ALIASES, "its aliases written out are more than 1,000,000 values"),
    "merges that grow": (_MERGES, "its aliases written out are more than 1,000,000 values"),
    "an alias of itself": ("a: &a [*a]\n", "a value holds itself through its alias"),
    "a control character": ("name: \x00\n", "is not valid YAML: unacceptable character"),
    "no UTF-8": (b"name: \xff\xfe\xfd\n", "is not valid UTF-8"),
    "a long list": ("[" + "1, " * 5000 + "1]", "expected a mapping"),
    "a bracket that stays open": ("name: [a", "is not valid YAML: while parsing"),
}
_OF_YAML = (
    "ppa-evaluate suite --config c.yaml --output r.jsonl",
    "ppa-preprocess sample --config c.yaml --input in --output out",
)
_YAML_ROWS = [Row(line, ("c.yaml", says), _text("c.yaml", text)) for line in _OF_YAML for text, says in YAML.values()]
JSON = {
    "nested": ("[" * DEEP, "config.json cannot be read as JSON: it is nested too deeply"),
    "a long number": (f'{{"vocab_size": {"9" * 5000}}}', "config.json is not valid JSON (Exceeds the limit"),
    "no object": ("[1, 2]", "config.json is not a JSON object"),
    "cut off": ('{"model_type": "xlm-rob', "config.json is not valid JSON (Unterminated string"),
    "no UTF-8": (b'{"a": "\xff"}', "config.json is not valid UTF-8"),
}
_JSON_ROWS = [
    Row("ppa-convert to-fairseq hf out", says, _all(write_model, _text("hf/config.json", text)))
    for text, says in JSON.values()
]
CONFIGS = {
    "vocab_size": (10**12, "vocab_size is 1000000000000, not a size"),
    "num_hidden_layers": (999_999_999, "the config says 999999999 layers"),
    "hidden_size": ("8", "hidden_size is '8', not a size"),
    "num_attention_heads": (3, "hidden_size 8 is not a multiple of num_attention_heads 3"),
    "intermediate_size": (True, "intermediate_size is True, not a size"),
    "max_position_embeddings": (-4, "max_position_embeddings is -4, not a size"),
    "type_vocab_size": (None, "type_vocab_size is None"),
    "model_type": ([["xlm-roberta"]], "is a [['xlm-roberta']] model"),
    "pad_token_id": ({"a": 1}, "pad_token_id is {'a': 1}"),
}
_CONFIG_ROWS = [
    Row("ppa-convert to-fairseq hf out", ("hf", says), functools.partial(write_model, **{key: value}))
    for key, (value, says) in CONFIGS.items()
]
_RETRIEVAL = "ppa-evaluate retrieval --model hf --data data --task tatoeba --sources ell_Grek --output r.jsonl"
CLAIMS = {
    "vocab_size": 10**12,
    "num_hidden_layers": 999_999_999,
    "hidden_size": 10**9,
    "intermediate_size": 10**11,
    "max_position_embeddings": 10**10,
    "type_vocab_size": 10**10,
}
_CLAIM_ROWS = [
    Row(
        _RETRIEVAL,
        f"hf/config.json: {key} is {value}, which is not the size of its weights",
        _all(functools.partial(write_model, **{key: value}), write_bitext),
    )
    for key, value in CLAIMS.items()
]

# What has a file's name and is none


def _put(make: Callable[[Path], object], name: str) -> Callable[[Path], None]:
    """Put one of `NO_FILES` in a place where a file may have been."""

    def put(directory: Path) -> None:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        make(path)

    return put


def _socket(path: Path) -> None:
    # a socket's path may not be longer than 107 bytes
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/s")
        shutil.move(f"{short}/s", path)


NO_FILES = {
    "a pipe": (os.mkfifo, "it is a pipe, which may never end"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "a directory": (Path.mkdir, "a directory"),
    "a link that leads nowhere": (lambda path: path.symlink_to("gone"), "it is a link to gone, which does not exist"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "a socket": (_socket, "it is a socket"),
}
PLACES = {
    "c.yaml": ("ppa-evaluate suite --config c.yaml --output r.jsonl", lambda directory: None),
    "fs/model.pt": ("ppa-convert to-hf fs/model.pt out", write_checkpoint),
    "hf/config.json": ("ppa-convert to-fairseq hf out", write_model),
    "hf/tokenizer_config.json": (_RETRIEVAL, _all(write_model, write_bitext)),
    "other.model": ("ppa-convert to-fairseq hf out --tokenizer other.model", write_model),
    "data/tatoeba.ell-eng.ell": (_RETRIEVAL, _all(write_model, write_bitext)),
    "a.latn": ("ppa-convert extend hf out --text a.latn --pieces 5", write_model),
    "hf/1.safetensors": (
        _RETRIEVAL,
        _all(
            write_model,
            write_bitext,
            lambda directory: (directory / "hf/model.safetensors").unlink(),
            _text("hf/model.safetensors.index.json", '{"weight_map": {"a": "1.safetensors"}}'),
        ),
    ),
}
_NO_FILE_ROWS = [
    Row(line, (name.rpartition("/")[2], says), _all(make, _put(put, name)))
    for name, (line, make) in PLACES.items()
    for kind, (put, says) in NO_FILES.items()
    # a directory may be meant for --tokenizer and --text
    if not (kind == "a directory" and name in ("other.model", "a.latn"))
]

# Checkpoints

EXPANDED = torch.zeros(1).expand(4_000_000_000, 1000)
NOTE = checkpoint.ORIGIN
_EMBEDDING, _QUERY = names.EMBED_TOKENS, "encoder.sentence_encoder.layers.0.self_attn.q_proj.weight"


def _with(**parts) -> Callable[[dict], None]:
    return lambda content: content.update(parts)


def _noted(**parts) -> Callable[[dict], None]:
    return lambda content: content[NOTE].update(parts)


def _weights(parts: dict) -> Callable[[dict], None]:
    return lambda content: content["model"].update(parts)


CHECKPOINTS = {
    "no state dict": (_with(model="a text"), "holds no state dict named 'model'"),
    "whole numbers for names": (_weights({7: torch.ones(2)}), "its state dict has 7 for a parameter's name"),
    "sparse": (_weights({_QUERY: torch.ones(8, 8).to_sparse()}), f"{_QUERY} is not a dense tensor"),
    "meta": (_weights({_QUERY: torch.ones(8, 8, device="meta")}), f"{_QUERY} is not a dense tensor"),
    "16 TB": (_weights({_EMBEDDING: EXPANDED}), f"{_EMBEDDING} is not a dense tensor that the file holds as a whole"),
    "no dimension": (_weights({_QUERY: torch.tensor(1.0)}), f"{_QUERY} is of shape (), expected a matrix"),
    "embedding of no dimension": (
        _weights({_EMBEDDING: torch.tensor(1.0), names.TIED_OUTPUT: torch.tensor(1.0)}),
        f"{_EMBEDDING} is of shape (), expected a matrix",
    ),
    "a layer's number": (
        _weights({"encoder.sentence_encoder.layers.999999999.fc1.weight": torch.ones(12, 8)}),
        "encoder.sentence_encoder.layers.2.fc1.bias and 15 more missing",
    ),
    "a layer's long number": (
        _weights({f"encoder.sentence_encoder.layers.{'9' * 5000}.fc1.weight": torch.ones(12, 8)}),
        "missing",
    ),
    "a third of a matrix": (
        _weights({"encoder.sentence_encoder.layers.0.self_attn.in_proj_weight": torch.ones(8, 8)}),
        "of shape (8, 8) is not three matrices",
    ),
    "padding of 10^12 rows": (
        lambda content: content["cfg"]["model"].update(padding_rows=10**12),
        "cfg.model.padding_rows is 1000000000000",
    ),
    "config of another type": (_noted(config="a text"), f"{NOTE}.config is 'a text', expected a mapping"),
    "config of 10^9 layers": (
        _noted(config=config(num_hidden_layers=999_999_999)),
        "the config says 999999999 layers",
    ),
    "config that is no JSON": (_noted(config=config(extra={1, 2})), "cannot be read as a checkpoint"),
    "dtype": (_noted(dtype=["float16"]), f"{NOTE}.dtype is ['float16'], expected a text"),
    "added_pieces": (_noted(added_pieces="three"), f"{NOTE}.added_pieces is 'three', expected a whole number"),
    "transmi": (_noted(transmi=3), f"{NOTE}.transmi is 3, expected a text"),
    "new_head": (_noted(new_head="one"), f"{NOTE}.new_head is 'one', expected a whole number or None"),
    "pooler": (_noted(pooler={"a": 1}), f"{NOTE}.pooler holds something else than tensors"),
    "16 TB of pooler": (_noted(pooler={"a": EXPANDED}), "a is not a dense tensor"),
    "heads": (
        lambda content: (content.pop(NOTE), content["cfg"]["model"].update(encoder_attention_heads="two")),
        "does not say how many attention heads",
    ),
}
_CHECKPOINT_ROWS = [
    Row("ppa-convert to-hf fs/model.pt out", ("fs/model.pt", says), functools.partial(write_checkpoint, change=change))
    for change, says in CHECKPOINTS.values()
]


def _half(share: float) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        path = write_checkpoint(directory)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

    return make


_TORN_ROWS = [
    Row("ppa-convert to-hf fs/model.pt out", "fs/model.pt is truncated or not a torch checkpoint", _half(share))
    for share in (0, 0.001, 0.25, 0.5, 0.9, 0.999)
]


def _safetensors(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + bytes(64)


def _claim(kind: str, shape: list[int], offsets: list[int]) -> bytes:
    return json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": offsets}}).encode()


SAFETENSORS = {
    "empty": b"",
    "a length of 2^63": _safetensors(b"{}", 1 << 63),
    "no JSON": _safetensors(b"not JSON"),
    "nested": _safetensors(b'{"a":' * DEEP),
    "a list": _safetensors(b"[1, 2]"),
    "16 TB": _safetensors(_claim("F32", [4_000_000_000, 1000], [0, 16 * 10**12])),
    "an unknown type": _safetensors(_claim("F7", [16], [0, 64])),
    "offsets that go back": _safetensors(_claim("F32", [16], [64, 0])),
    "negative sizes": _safetensors(b'{"a": {"dtype": "F32", "shape": [-4, 4], "data_offsets": [0, 64]}}'),
}
_SAFETENSORS_ROWS = [
    Row("ppa-convert to-fairseq hf out", "model.safetensors", _all(write_model, _text("hf/model.safetensors", made)))
    for made in SAFETENSORS.values()
]
_INDEX = "hf/model.safetensors.index.json"
INDEXES = {
    "nested": "[" * DEEP,
    "a list": "[]",
    "numbers for names": '{"weight_map": {"a": 1, "b": "c"}}',
    "lists for names": '{"weight_map": {"a": ["b"]}}',
    "no name": '{"weight_map": {"a": ".."}}',
    "nothing in it": '{"weight_map": {}}',
}
_INDEX_ROWS = [
    Row(
        "ppa-convert to-fairseq hf out",
        "hf",
        _all(write_model, lambda directory: (directory / "hf/model.safetensors").unlink(), _text(_INDEX, text)),
    )
    for text in INDEXES.values()
]

# Dictionaries and shards, as training opens them

_TRAIN = (
    "fairseq-train data/shard00 --task translit_alignment --criterion translit_alignment --arch translit_tiny "
    "--optimizer adam --max-update 1 --batch-size 2"
)
DICTIONARIES = {
    "not UTF-8": (b"\xff\xfe\xfa 1\n", "dict.txt is not a readable fairseq dictionary"),
    "a line of one word": ("word\n", "dict.txt is not a readable fairseq dictionary"),
    "a count that is none": ("word many\n", "dict.txt is not a readable fairseq dictionary"),
    "a long count": (f"word {'9' * 5000}\n", "dict.txt is not a readable fairseq dictionary"),
    "a word twice": ("word 1\nword 1\n", "dict.txt is not a readable fairseq dictionary"),
    "<mask> in the middle": ("<mask> 1\nword 1\n", "<mask> is entry 4, it has to be the last"),
}
_DICTIONARY_ROWS = [
    Row(_TRAIN, says, _all(lambda d: write_shards(d / "data", 8), _text("data/dict.txt", text)))
    for text, says in DICTIONARIES.values()
]
_START_ROWS = [
    Row(f"{_TRAIN} {flag} start.pt", (flag, says), _all(lambda d: write_shards(d / "data", 8), _put(put, "start.pt")))
    for flag in ("--finetune-from-model", "--restore-file")
    for put, says in NO_FILES.values()
]

# Places that cannot be written to

_LONG = "x" * 300
OUTPUTS = {
    "below a file": ("file/out", "file is not a directory"),
    "below /proc": ("/proc/ppa/out", "nothing can be made there"),
    "a long name": (_LONG, "File name too long"),
    "a long name below": (f"new/{_LONG}", "is too long"),
    "a name that leaves no room": ("x" * 250, "is too long"),
    "a long path": ("/".join(["x" * 200] * 30), "File name too long"),
    "nothing": ("''", "name a file or directory"),
    "a dash": ("-", "name a file or directory"),
    "a link that leads nowhere": ("link", "it is a link to gone, which does not exist"),
    "a pipe": ("pipe", "it is a pipe"),
    "a device": ("/dev/null", "it is a device"),
}
_WRITING = {
    "ppa-convert to-fairseq hf {}": write_model,
    "ppa-convert to-hf fs/model.pt {}": write_checkpoint,
    "ppa-convert extend hf {} --text file --pieces 5": write_model,
    "ppa-evaluate retrieval --model hf --data data --task tatoeba --sources ell_Grek --output {}": _all(
        write_model, write_bitext
    ),
}
_WRITING_OF_TEXT = (
    "ppa-preprocess sample --config c.yaml --input in --output {}",
    "ppa-preprocess romanize --input in/ell_Grek.txt --output {}",
)


def _write_text(directory: Path) -> None:
    (directory / "c.yaml").write_text("name: g\nlanguages:\n  ell_Grek: {uroman: null}\n")
    (directory / "in").mkdir()
    (directory / "in/ell_Grek.txt").write_text("a line\n")


def _places(directory: Path) -> None:
    (directory / "file").write_text("a line\n")
    (directory / "link").symlink_to("gone")
    os.mkfifo(directory / "pipe")


_OUTPUT_ROWS = [
    Row(line.replace("{}", place), says, _all(make, _places))
    for line, make in _WRITING.items()
    for place, says in OUTPUTS.values()
] + [
    Row(line.replace("{}", place), says, _all(_write_text, _places))
    for line in _WRITING_OF_TEXT
    for place, says in OUTPUTS.values()
    if place != "''"  # to a path of Python's it is the directory that one is in
]

# Evaluation data of which no sentence can be had


def _excluding(name: str) -> Callable[[Path], None]:
    text = f"name: g\nfilters: {{exclude: [{name}]}}\nlanguages: {{ell_Grek: {{uroman: null}}}}\n"
    return _all(_write_text, _text("e.yaml", text))


_LEAKAGE = "ppa-evaluate leakage --corpus in --data {} --output out.jsonl"
_SAMPLE = "ppa-preprocess sample --config e.yaml --input in --output out"
# what is put there, and what is said of it
_EVALUATION = {
    "missing": (_all(), ("missing", "No such file or directory")),
    "pipe": (lambda directory: os.mkfifo(directory / "pipe"), ("pipe", "it is a pipe")),
    "empty": (lambda directory: (directory / "empty").mkdir(), ("empty holds no evaluation file", "LANG/train.tsv")),
    "t.tsv": (_text("t.tsv", "a\tb\tc\td\n"), "t.tsv is a table whose column of text is not known"),
}
_LEAKAGE_ROWS = [
    *(Row(_LEAKAGE.format(name), says, _all(_write_text, make)) for name, (make, says) in _EVALUATION.items()),
    *(
        Row(_SAMPLE, says, _all(_excluding(name), make), f"exclude {name}")
        for name, (make, says) in _EVALUATION.items()
    ),
    Row(_LEAKAGE.format("in").replace("--corpus in", "--corpus gone"), "gone is not a directory", _write_text),
    Row(_SAMPLE, "dots holds no line with a letter", _all(_excluding("dots"), _text("dots", "...\n")), "exclude dots"),
]

ROWS = [
    *_LEAKAGE_ROWS,
    *_YAML_ROWS,
    *_JSON_ROWS,
    *_CONFIG_ROWS,
    *_CLAIM_ROWS,
    *_NO_FILE_ROWS,
    *_CHECKPOINT_ROWS,
    *_TORN_ROWS,
    *_SAFETENSORS_ROWS,
    *_INDEX_ROWS,
    *_DICTIONARY_ROWS,
    *_START_ROWS,
    *_OUTPUT_ROWS,
]
