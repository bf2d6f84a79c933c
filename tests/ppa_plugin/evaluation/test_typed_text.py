"""`--input latn`: the models read romanized text, and every result says so."""

import pytest
import yaml
from running import exit_code
from suites import run

from ppa_plugin.evaluation import cli, typed_text
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet, TaggingSet


def test_what_has_no_romanization_stays_and_is_counted(capsys):
    texts = ["Η πόλη, 2024", "", " ", "plain", "\u200d"]
    assert typed_text.romanized(texts, "a.txt") == ["E pole, 2024", "", " ", "plain", "\u200d"]
    assert capsys.readouterr().err == "note: a.txt: 1 of 5 have no romanization and are read as they are\n"


def test_sentences_of_a_retrieval_set_are_romanized_and_its_content_is_what_it_was(place):
    sets = [RetrievalSet(place / "bibles", "bible", side) for side in ("orig", "latn")]
    orig, latn = (data.pair("ell_Grek", "fas_Arab") for data in sets)
    assert latn.data_sha256 == orig.data_sha256
    for theirs, ours in ((orig.queries, latn.queries), (orig.candidates, latn.candidates)):
        assert list(ours.sentences) == typed_text.romanized(theirs.sentences, "x")
        assert all(sentence.isascii() for sentence in ours.sentences)


def test_labelled_texts_and_words_are_romanized_and_their_labels_stay(tmp_path):
    for split in ("train", "dev", "test"):
        for folder, text in {
            "sib200": "index_id\tcategory\ttext\n1\tsports\tΗ πόλη\n2\tscience/technology\tplain\n",
            "ner": "Η O\nπόλη B-LOC\n\n十 O\nAda B-PER\n",
        }.items():
            (tmp_path / folder / "ell_Grek").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "ell_Grek" / f"{split}.tsv").write_text(text, encoding="utf-8")
    topics = ClassificationSet(tmp_path / "sib200", "sib200", "latn").split("ell_Grek", "test")
    assert [(s.text, s.label) for s in topics.sentences] == [("E pole", "sports"), ("plain", "science/technology")]
    assert topics.reading == {"input": "latn"}
    names = TaggingSet(tmp_path / "ner", "ner", input="latn")
    assert [s.words for s in names.split("ell_Grek", "test").sentences] == [("E", "pole"), ("10", "Ada")]
    assert [s.tags for s in names.split("ell_Grek", "test").sentences] == [("O", "B-LOC"), ("O", "B-PER")]
    plain = TaggingSet(tmp_path / "ner", "ner")
    assert plain.split("ell_Grek", "test").reading == {}
    assert plain.data_sha256("ell_Grek", "ell_Grek") == names.data_sha256("ell_Grek", "ell_Grek")


def test_results_say_which_text_was_read(place):
    output = place / "results.jsonl"
    flags = ("--model", place / "base", "--data", place / "bibles", "--task", "bible", "--sources", "eng_Latn")
    flags += ("--targets", "ell_Grek", "--output", output)
    for side in ("orig", "latn"):
        assert exit_code(cli.main, "retrieval", *flags, "--input", side) == 0
    found = [result.config.get("input") for result in read_results(output)]
    assert found == [None] * 3 + ["latn"] * 3


def test_a_suite_goes_on_with_what_it_measured_before_and_takes_romanized_text(place, capsys):
    def write(output="results.jsonl", **options):
        task = {"data": "bibles", "sources": ["eng_Latn"], "targets": ["ell_Grek"], **options}
        content = {"output": output, "device": "cpu", "models": ["base"], "tasks": {"bible": task}}
        (place / "suite.yaml").write_text(yaml.safe_dump(content))
        return "--config", place / "suite.yaml", "--jobs", "0"

    assert run(*write()) == run(*write(input="orig")) == 0
    assert "1 cells: 1 done" in capsys.readouterr().out
    assert run(*write(input="latn")) == 1
    assert "is this measurement with other settings" in capsys.readouterr().out
    for counted in ("1 missing", "1 done"):
        assert run(*write("typed.jsonl", input="latn")) == 0
        assert counted in capsys.readouterr().out
    assert {result.config["input"] for result in read_results(place / "typed.jsonl")} == {"latn"}
    assert run(*write(input="both")) == 2
    assert "input is 'both', expected orig or latn" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["retrieval", "classify", "tag"])
def test_every_command_has_it(command, capsys):
    assert exit_code(cli.main, command, "--help") == 0
    assert "--input {orig,latn}" in " ".join(capsys.readouterr().out.split())
