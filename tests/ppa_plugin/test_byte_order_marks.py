"""A text that begins with a byte-order mark is read as without, by every reader; one of UTF-16 or 32 is named."""

import codecs
import dataclasses
import json
from pathlib import Path

import pytest
from made_up_results import result
from ppa_preprocess.group import load_group
from ppa_preprocess.text.sources import Directory
from ppa_preprocess.tokens.records import open_lines

from ppa_plugin.commandline import UserError
from ppa_plugin.convert.extension.new_pieces import sample_lines
from ppa_plugin.convert.hugging_face import read_config, weight_files
from ppa_plugin.evaluation.analysis.records import read_analysis, record
from ppa_plugin.evaluation.analysis.romanized_text import PairFiles
from ppa_plugin.evaluation.json_lines import drop_torn_line
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.report.groups import read_groups
from ppa_plugin.evaluation.report.published.counts import read_manifest
from ppa_plugin.evaluation.report.published.facts import FIELDS, read_published
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.retrieval.readers import Side
from ppa_plugin.evaluation.suite.suite_file import load_suite
from ppa_plugin.evaluation.transfer.labelled_files import read_classes, read_tags
from ppa_plugin.files import count_lines, decode_text, read_json_lines, read_lines
from ppa_plugin.leakage.sentences import sentences_of
from ppa_plugin.yaml_file import load_yaml

CONLLU = "1\tΗ\t_\tDET\t_\t_\t_\t_\t_\t_\n2\tγη\t_\tNOUN\t_\t_\t_\t_\t_\t_\n"
FIGURE = "mine,sr-b,bible,top10,glot500,eng_Latn,ell_Grek,45.5"
SUITE = "models: [aligned]\ntasks: {bible: {data: eval/bible, sources: [eng_Latn], targets: [ell_Grek]}}\n"
MODEL = Model("aligned", "models/aligned", "ab" * 32)
SCRIPTS = {"task": "sib", "layer": 8, "pool": "all", "accuracy": 0.75, "chance": 0.5, "scripts": {"Arab": 4}}


def pairs(path: Path):
    path.with_suffix(".latn").write_text("e ge\nkai\n")
    return list(PairFiles(path.parent).pairs("ell_Grek"))


# what is read: the file's name, its content, and what the reader makes of it
READERS = {
    "lines": ("a.txt", "Η γη\nκαι\n", lambda path: list(read_lines(path))),
    "a text at once": ("a.txt", "Η γη\n", lambda path: decode_text(path.read_bytes(), path)),
    "group file": ("g.yaml", "name: g\nlanguages: {ell_Grek: {uroman: ell}}\n", load_group),
    "YAML": ("a.yaml", "name: g\n", load_yaml),
    "groups of a report": ("g.yaml", "mine: [ell_Grek]\n", read_groups),
    "suite": ("s.yaml", SUITE, load_suite),
    "retrieval": ("a.ell_Grek", "Η γη\nκαι\n", lambda path: Side.read(path).sentences),
    "pairs of ppa-evaluate": ("ell_Grek.orig", "Η γη\nκαι\n", pairs),
    "text of ppa-convert extend": ("a.txt", "Η γη\nκαι\n", lambda path: sample_lines([path], 9)),
    "classes": ("test.tsv", "id\tlabel\ttext\n1\tgood\tΗ γη\n", lambda path: dataclasses.astuple(read_classes(path))),
    "tags": ("test.tsv", "Η\tO\nγη\tB-LOC\n", lambda path: dataclasses.astuple(read_tags(path, "ner"))),
    "CoNLL-U": ("test.conllu", CONLLU, lambda path: dataclasses.astuple(read_tags(path, "pos"))),
    "evaluation data": ("test.tsv", "id\tlabel\ttext\n1\ta\tΗ γη\n", lambda path: list(sentences_of(path))),
    "published figures": ("p.csv", f"{','.join(FIELDS)}\n{FIGURE}\n", read_published),
    "manifest": ("m.json", '{"languages": {"ell_Grek": {"read": 3, "kept": 2}}}', read_manifest),
    "results": ("r.jsonl", json.dumps(dataclasses.asdict(result())) + "\n", read_results),
    "results, torn": ("r.jsonl", json.dumps(dataclasses.asdict(result())), drop_torn_line),
    "analysis": ("a.jsonl", json.dumps(record("scripts", MODEL, "cd" * 32, **SCRIPTS)) + "\n", read_analysis),
    "records of ppa-preprocess": ("d.jsonl", '{"lang": "ell_Grek"}\n', lambda path: list(read_json_lines(path))),
    "config.json": ("config.json", '{"model_type": "xlm-roberta"}', lambda path: read_config(path.parent)),
    "index of shards": (
        "model.safetensors.index.json",
        '{"weight_map": {"a": "1.safetensors"}}',
        lambda path: [file.name for file in weight_files(path.parent)],
    ),
    "a saved dataset": (
        "in/ell_Grek/state.json",
        '{"_data_files": [{"filename": "state.json"}]}',
        lambda path: Directory(path.parents[1]).find("ell_Grek").name,
    ),
}
MARKS = [
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
]


@pytest.mark.parametrize("reader", READERS)
def test_a_mark_makes_no_difference(tmp_path, reader):
    name, content, read = READERS[reader]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    expected = read(path)
    path.write_bytes(codecs.BOM_UTF8 + content.encode())
    assert read(path) == expected


@pytest.mark.parametrize(("mark", "codec", "name"), MARKS, ids=[codec for _, codec, _ in MARKS])
@pytest.mark.parametrize("reader", [reader for reader in READERS if reader != "results, torn"])
def test_another_encoding_is_named(tmp_path, reader, mark, codec, name):
    file, content, read = READERS[reader]
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mark + content.encode(codec))
    with pytest.raises(UserError, match=rf"^{path} is {name}; convert the file to UTF-8$"):
        read(path)


@pytest.mark.parametrize("content", ["", "\n", "a", "a\n", "\n\na", "a\nb", "\ufeffa\n", "a\n\ufeffb\n", "\u2028\r\n"])
def test_lines_are_as_many_and_the_same(tmp_path, content):
    """Whoever counts, streams or takes them by number. A mark further on is text."""
    path = tmp_path / "text"
    path.write_bytes(codecs.BOM_UTF8 + content.encode())
    expected = content.split("\n")
    expected = expected if expected[-1] else expected[:-1]
    assert list(read_lines(path)) == expected
    assert count_lines(path) == len(expected)
    with open_lines(path) as lines:
        assert [line.decode() for line in lines] == expected
        assert len(lines) == len(expected)
    with open_lines(path, marked=False) as lines:
        assert b"\n".join(lines).removesuffix(b"\n") == path.read_bytes().removesuffix(b"\n")
