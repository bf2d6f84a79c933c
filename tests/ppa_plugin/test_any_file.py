"""Whatever is in a file, a reader gives a value or a `UserError`: random bytes and mutations of good files."""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import bad_input_files
import pytest
import torch
import whole_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_results import result
from made_up_shards import write_shards
from ppa_preprocess.group import load_group

from ppa_plugin.commandline import UserError
from ppa_plugin.convert import hugging_face, weights
from ppa_plugin.convert.to_hf import convert
from ppa_plugin.convert.tokenizer import sentencepiece_file
from ppa_plugin.data.shards import load_pair
from ppa_plugin.data.vocabulary import load_dictionary
from ppa_plugin.evaluation.analysis.records import read_analysis, record
from ppa_plugin.evaluation.encoder import sentencepiece_tokenizer
from ppa_plugin.evaluation.json_lines import drop_torn_line
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.retrieval.readers import Side
from ppa_plugin.evaluation.suite.suite_file import load_suite
from ppa_plugin.evaluation.transfer.labelled_files import read_classes, read_tags
from ppa_plugin.files import read_lines
from ppa_plugin.leakage.sentences import sentences_of
from ppa_plugin.model.families import of_config

GROUP = """\
name: g
seed: 1
shards: 2
sampling: {share: 0.1, min_lines: 10}
filters: {max_chars: 500}
languages:
  tur_Latn: {uroman: null}
  ell_Grek: {uroman: ell}
"""
SUITE = """\
output: results.jsonl
models: [aligned, {path: base, name: b}]
tasks:
  bible: {data: eval/bible, sources: [eng_Latn], targets: [ell_Grek], layer: 8}
  sib200: {data: eval/sib200, sources: [eng_Latn], seeds: [42, 43], epochs: 20}
"""
CONLLU = "# text\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tΗ\t_\tDET\t_\t_\t_\t_\t_\t_\n2\tγη\t_\tNOUN\t_\t_\t_\t_\t_\t_\n\n"
ANALYSIS = record(
    "scripts", Model("a", "a", "ab"), "cd", layer=8, pool="all", accuracy=0.7, chance=0.5, scripts={"Arab": 4}
)
ADDED = {"model_max_length": 512, "added_tokens_decoder": {"0": {"content": "<s>", "special": True}}}


def _tokenizer(path: Path) -> None:
    sentencepiece_file.added_tokens(path.parent)
    sentencepiece_tokenizer._stated_length(path.parent)


def _config(path: Path) -> None:
    config = hugging_face.read_config(path.parent)
    of_config(config, path.parent).check_config(config, path.parent)


TEXTS = {
    "lines": ("a.txt", "Η γη\nκαι\r\n", lambda path: list(read_lines(path))),
    "retrieval": ("a.ell", "Η γη\nκαι\n", Side.read),
    "group": ("g.yaml", GROUP, load_group),
    "suite": ("s.yaml", SUITE, load_suite),
    "classes": ("a.tsv", 'id\tlabel\ttext\n1\tgood\t"Η ""γη"\n', read_classes),
    "entities": ("a.tsv", "EU B-ORG\nrejects O\n\n-DOCSTART- -X-\n\nen:a O\nen:b O\n", lambda p: read_tags(p, "ner")),
    "numbered entities": ("a.iob2", "# remark\n1\tEU\tB-ORG\n2\ta\tO\n", lambda path: read_tags(path, "ner")),
    "CoNLL-U": ("a.conllu", CONLLU, lambda path: read_tags(path, "pos")),
    "sentences of a table": ("a.tsv", 'id\tlabel\ttext\n1\tgood\t"Η ""γη"\n', lambda path: list(sentences_of(path))),
    "sentences of entities": ("a.iob2", "# remark\n1\tEU\tB-ORG\n2\ta\tO\n", lambda path: list(sentences_of(path))),
    "sentences of CoNLL-U": ("a.conllu", CONLLU, lambda path: list(sentences_of(path))),
    "results": ("r.jsonl", json.dumps(dataclasses.asdict(result())) + "\n", read_results),
    "torn results": ("r.jsonl", json.dumps(dataclasses.asdict(result())), drop_torn_line),
    "analysis": ("a.jsonl", json.dumps(ANALYSIS) + "\n", read_analysis),
    "config.json": ("config.json", json.dumps(whole_model.config()), _config),
    "tokenizer_config.json": ("tokenizer_config.json", json.dumps(ADDED), _tokenizer),
    "index of weights": (
        "model.safetensors.index.json",
        '{"weight_map": {"a": "1.safetensors"}}',
        lambda path: hugging_face.weight_files(path.parent),
    ),
    "dictionary": ("dict.txt", "▁a 1\n▁b 2\n<mask> 1\n", load_dictionary),
}
# what readers trip over, beside single bytes
TRAPS = ["\0", "\ufeff", "\u2028", "\x85", "\r", "\t", "\n\n", '"', "'", "[", "{", "}", "\\ud800", "[" * 2000]
TRAPS += ["&a ", "*a", "<<: ", "!!int ", "- ", "? ", "<mask>", "<s> 1"]
TRAPS += ["null", "NaN", "Infinity", "-1", "1e999", "9" * 5000, "2026-13-01"]
MUTATED = st.sampled_from([trap.encode() for trap in TRAPS]) | st.binary(min_size=1, max_size=4)


@st.composite
def mutations(draw, good: bytes) -> bytes:
    """Random bytes, or a good file in which some bytes are replaced, inserted, left out or cut off."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    content = good
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([0, 0, 1, 2, 8, 10**9])))
        content = content[:start] + draw(st.just(b"") | MUTATED) + content[end:]
    return content


def check(read, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    said = ""
    try:
        read(path)
    except UserError as error:
        said = str(error)
    assert "\n" not in said


def try_out(strategy: st.SearchStrategy, count: int, trial: Callable) -> None:
    """Give `trial` that many examples of a strategy, from the simplest on."""

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def tried(example):
        trial(example)

    tried()


def check_texts(reader: str, count: int) -> None:
    name, good, read = TEXTS[reader]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_text(good)
        read(path)

        try_out(mutations(good.encode()), count, lambda content: check(read, path, content))


def check_shards(count: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        write_shards(Path(made), pairs=12)
        dictionary = load_dictionary(Path(made) / "dict.txt")
        directory = Path(made) / "shard00/aaa_Latn"

        def read(_: Path) -> None:
            load_pair(directory, "train", dictionary)

        for end in ("idx", "bin"):
            path = directory / f"train.orig-latn.orig.{end}"
            good = path.read_bytes()

            try_out(mutations(good), count, functools.partial(check, read, path))
            path.write_bytes(good)


def check_weights(count: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = whole_model.write_model(Path(made)) / "model.safetensors"
        good = path.read_bytes()
        head = int.from_bytes(good[:8], "little") + 8

        def read(path: Path) -> None:
            weights.read_weights(path.parent)

        try_out(mutations(good[:head]), count, lambda content: check(read, path, content + good[head:]))


_SQUARE = torch.ones(8, 8)
TENSORS = st.sampled_from(
    [
        *(torch.ones(shape) for shape in ((), (8,), (8, 8), (0, 3))),
        *(_SQUARE.to(kind) for kind in (torch.complex64, torch.int64, torch.bool)),
        *(_SQUARE.to_sparse(), _SQUARE.to("meta"), bad_input_files.EXPANDED, _SQUARE * float("nan")),
    ]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4) | TENSORS
KEYS = st.text(max_size=8) | st.integers() | st.none() | st.tuples(st.integers())
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@st.composite
def checkpoints(draw) -> dict:
    """A good checkpoint in which something, at whatever depth, is another value, is left out or has another name."""
    content = whole_model.content()
    content["cfg"] |= {name: {"_name": "x", "seq_layer": 1, "seq_weight": 1.0} for name in ("criterion", "task")}
    content["cfg"]["checkpoint"] = {"finetune_from_model": "gone.pt", "restore_file": "checkpoint_last.pt"}
    content["cfg"]["task"]["data"] = "data-bin/shard00"
    if draw(st.booleans()):
        del content["hugging_face"]
        content["cfg"]["model"]["encoder_attention_heads"] = 2
    for _ in range(draw(st.integers(1, 3))):
        part = content
        while True:
            key = draw(st.sampled_from(list(part)))
            if not (isinstance(part[key], dict) and part[key] and draw(st.integers(0, 4))):
                break
            part = part[key]
        what = draw(st.integers(0, 4))
        if what == 0 and len(part) > 1:
            del part[key]
        elif what == 1:
            part[draw(KEYS)] = part[key]
        else:
            part[key] = draw(VALUES)
    return content


def check_checkpoints(count: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = whole_model.write_checkpoint(Path(made))

        def read(path: Path) -> None:
            with tempfile.TemporaryDirectory() as out:
                convert(path, str(path.parent)).write(Path(out), "title")

        read(path)

        def mutated(content: dict) -> None:
            torch.save(content, path)
            check(read, path, path.read_bytes())

        try_out(checkpoints(), count, mutated)
        torch.save(whole_model.content(), path)
        good = path.read_bytes()
        try_out(mutations(good), count, functools.partial(check, read, path))


@pytest.mark.parametrize("reader", TEXTS)
def test_any_text_is_a_value_or_a_sentence(reader):
    check_texts(reader, 60)


def test_any_shard_weights_and_checkpoint_are_a_value_or_a_sentence():
    check_shards(40)
    check_weights(60)
    check_checkpoints(40)


@pytest.mark.slow
@pytest.mark.parametrize("reader", TEXTS)
def test_very_many_texts(reader):
    check_texts(reader, 800)


@pytest.mark.slow
def test_very_many_shards_weights_and_checkpoints():
    check_shards(250)
    check_weights(500)
    check_checkpoints(250)
