"""`--input latn` and `--romanizer`: the models read romanized text, by which romanizer, and every result says so."""

import json

import pytest
import yaml
from running import exit_code
from suites import run

from ppa_plugin.evaluation import cli, typed_text
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.results import read_results
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet, TaggingSet
from ppa_plugin.romanization.by_language import Romanizers, parse
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.romanizers import PACKAGED, Packaged


class Shouting:
    """Not one letter of what any other romanizer writes."""

    version = "3"

    def romanize(self, line, lang):
        return " ".join("SHOUT" + "A" * len(word) for word in line.split())


SHOUTING = f"{__name__}:Shouting"
DEFAULT = Romanizers()


def shouted(text: str) -> str:
    return Shouting().romanize(text, None)


def test_what_has_no_romanization_stays_and_is_counted(capsys):
    texts = ["Η πόλη, 2024", "", " ", "plain", "\u200d"]
    romanized = typed_text.romanized(texts, "a.txt", Romanization("uroman"))
    assert romanized == ["E pole, 2024", "", " ", "plain", "\u200d"]
    assert capsys.readouterr().err == "note: a.txt: 1 of 5 have no romanization and are read as they are\n"


def test_code_and_punctuation_are_heeded():
    ways = (Romanization("uroman"), Romanization("uroman", "ukr"), Romanization("uroman", "ukr", True))
    romanized = [typed_text.romanized(["«гора»"], "x", settings) for settings in ways]
    assert romanized == [["«gora»"], ["«hora»"], ['"hora"']]


def test_sentences_of_a_retrieval_set_are_romanized_and_its_content_is_what_it_was(place):
    sets = [RetrievalSet(place / "bibles", "bible", romanizers) for romanizers in (None, DEFAULT)]
    orig, latn = (data.pair("ell_Grek", "fas_Arab") for data in sets)
    assert latn.data_sha256 == orig.data_sha256
    for theirs, ours in ((orig.queries, latn.queries), (orig.candidates, latn.candidates)):
        assert list(ours.sentences) == typed_text.romanized(theirs.sentences, "x", Romanization("uroman"))
        assert all(sentence.isascii() for sentence in ours.sentences)


def test_each_language_of_a_retrieval_set_has_its_own_romanizer(place):
    plain = RetrievalSet(place / "bibles", "bible", DEFAULT)
    mine = RetrievalSet(place / "bibles", "bible", parse(f"ell_Grek={SHOUTING},eng_Latn={SHOUTING}"))
    orig = RetrievalSet(place / "bibles", "bible")
    ours, theirs, read = (data.pair("ell_Grek", "fas_Arab") for data in (mine, plain, orig))
    assert ours.queries.sentences == tuple(map(shouted, read.queries.sentences))
    assert ours.candidates == theirs.candidates  # Persian is uroman's
    assert mine.pair("eng_Latn", "tur_Latn").queries.sentences == tuple(map(shouted, "abcdef"))
    every = RetrievalSet(place / "bibles", "bible", parse(SHOUTING)).pair("tur_Latn", "ell_Grek")
    assert every.queries.sentences == tuple(map(shouted, orig.pair("tur_Latn", "ell_Grek").queries.sentences))


@pytest.fixture
def labelled(tmp_path):
    """Topics and names in Greek and Persian, the same in every split."""
    texts = {
        "sib200": "index_id\tcategory\ttext\n1\tsports\tΗ πόλη\n2\tscience/technology\tplain\n",
        "ner": "Η O\nπόλη B-LOC\n\n十 O\nAda B-PER\n",
    }
    for folder, text in texts.items():
        for language in ("ell_Grek", "fas_Arab"):
            (tmp_path / folder / language).mkdir(parents=True)
            for split in ("train", "dev", "test"):
                (tmp_path / folder / language / f"{split}.tsv").write_text(text, encoding="utf-8")
    return tmp_path


def test_labelled_texts_and_words_are_romanized_and_their_labels_stay(labelled):
    topics = ClassificationSet(labelled / "sib200", "sib200", DEFAULT).split("ell_Grek", "test")
    assert [(s.text, s.label) for s in topics.sentences] == [("E pole", "sports"), ("plain", "science/technology")]
    assert topics.reading == {"input": "latn"}
    names = TaggingSet(labelled / "ner", "ner", romanizers=DEFAULT)
    assert [s.words for s in names.split("ell_Grek", "test").sentences] == [("E", "pole"), ("10", "Ada")]
    assert [s.tags for s in names.split("ell_Grek", "test").sentences] == [("O", "B-LOC"), ("O", "B-PER")]
    plain = TaggingSet(labelled / "ner", "ner")
    assert plain.split("ell_Grek", "test").reading == {}
    assert plain.data_sha256("ell_Grek", "ell_Grek") == names.data_sha256("ell_Grek", "ell_Grek")


def test_each_language_of_a_labelled_set_has_its_own_romanizer(labelled):
    romanizers = parse(f"ell_Grek={SHOUTING}")
    topics = ClassificationSet(labelled / "sib200", "sib200", romanizers)
    said = {"input": "latn", "romanizer": f"ell_Grek: {SHOUTING} 3; others: uroman 1.3.1.1"}
    for language, expected in (("ell_Grek", shouted("Η πόλη")), ("fas_Arab", "E pole")):
        split = topics.split(language, "test")
        assert split.sentences[0].text == expected
        assert split.reading == said  # one for the run, whichever the language
    names = TaggingSet(labelled / "ner", "ner", romanizers=romanizers)
    words = [[s.words for s in names.split(language, "dev").sentences] for language in ("ell_Grek", "fas_Arab")]
    assert words[0] == [tuple(map(shouted, ("Η", "πόλη"))), tuple(map(shouted, ("十", "Ada")))]
    assert words[1] == [("E", "pole"), ("10", "Ada")]


def retrieval(place, output, *flags, sources="eng_Latn", targets="ell_Grek") -> list[dict]:
    where = ("--data", place / "bibles", "--task", "bible", "--sources", sources, "--targets", targets)
    assert exit_code(cli.main, "retrieval", "--model", place / "base", *where, "--output", place / output, *flags) == 0
    return [json.loads(line) for line in (place / output).read_text(encoding="utf-8").splitlines()]


def test_results_say_which_text_was_read(place):
    flags = [("--input", "orig"), ("--input", "latn"), ("--input", "latn", "--romanizer", "uroman")]
    flags += [("--input", "latn", "--romanizer", f"ell={SHOUTING}")]
    found = [retrieval(place, f"{number}.jsonl", *given)[0]["config"] for number, given in enumerate(flags)]
    said = [{key: config.pop(key) for key in ("input", "romanizer") if key in config} for config in found]
    mine = {"input": "latn", "romanizer": f"ell_Grek: {SHOUTING} 3; others: uroman 1.3.1.1"}
    assert said == [{}, {"input": "latn"}, {"input": "latn"}, mine]
    assert all(config == found[0] for config in found)


def test_the_model_reads_what_the_romanizer_wrote(place, monkeypatch):
    read = []
    encode = SentenceEncoder.encode_layers

    def spy(self, sentences, *arguments):
        read.append(tuple(sentences))
        return encode(self, sentences, *arguments)

    monkeypatch.setattr(SentenceEncoder, "encode_layers", spy)
    flags = ("--input", "latn", "--romanizer", f"ell_Grek={SHOUTING}")
    retrieval(place, "results.jsonl", *flags, sources="fas_Arab", targets="ell_Grek,tur_Latn")
    pair = RetrievalSet(place / "bibles", "bible").pair("ell_Grek", "fas_Arab")
    assert tuple(map(shouted, pair.queries.sentences)) in read
    assert tuple(typed_text.romanized(pair.candidates.sentences, "x", Romanization("uroman"))) in read
    assert len(read) == 3


def test_equal_files_of_two_languages_that_are_romanized_differently_are_read_apart(place):
    """Their bytes are the same; what is read is not."""
    greek = (place / "bibles" / "bible.ell_Grek-eng_Latn.ell_Grek").read_text(encoding="utf-8")
    (place / "bibles" / "bible.tur_Latn-eng_Latn.tur_Latn").write_text(greek, encoding="utf-8")
    for number, (romanizer, alike) in enumerate((("uroman", True), (f"tur_Latn={SHOUTING}", False))):
        flags = ("--input", "latn", "--romanizer", romanizer)
        found = retrieval(place, f"{number}.jsonl", *flags, sources="ell_Grek", targets="tur_Latn")
        (top1,) = (result["value"] for result in found if result["metric"] == "top1")
        assert (top1 == 1) == alike


def suite_of(place, output="results.jsonl", **options):
    """A suite of one retrieval task, run in this process."""
    task = {"data": "bibles", "sources": ["eng_Latn"], "targets": ["ell_Grek"], **options}
    content = {"output": output, "device": "cpu", "models": ["base"], "tasks": {"bible": task}}
    (place / "suite.yaml").write_text(yaml.safe_dump(content))
    return run("--config", place / "suite.yaml", "--jobs", "0")


def test_a_suite_goes_on_with_what_it_measured_before_and_takes_romanized_text(place, capsys):
    assert suite_of(place) == suite_of(place, input="orig") == 0
    assert "1 cells: 1 done" in capsys.readouterr().out
    assert suite_of(place, input="latn") == 1
    assert "is this measurement with other settings" in capsys.readouterr().out
    for counted in ("1 missing", "1 done"):
        assert suite_of(place, "typed.jsonl", input="latn") == 0
        assert counted in capsys.readouterr().out
    assert {result.config["input"] for result in read_results(place / "typed.jsonl")} == {"latn"}
    assert suite_of(place, input="both") == 2
    assert "input is 'both', expected orig or latn" in capsys.readouterr().err


def test_a_cell_of_a_suite_is_that_of_its_romanizer(place, capsys, monkeypatch):
    monkeypatch.setitem(PACKAGED, "shouting", Packaged(SHOUTING, ()))  # a manifest may name no class of one's own
    assert suite_of(place, input="latn") == 0
    (place / "data-bin/shard00").mkdir(parents=True)
    uroman = {"name": "uroman", "version": "1.3.1.1", "code": None, "punctuation": None}
    manifest = {"group": {}, "languages": {"ell_Grek": {"romanizer": {**uroman, "name": "shouting", "version": "3"}}}}
    (place / "data-bin/manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    # uroman without a code is the default; a romanizer is the same by whatever way it is named
    for output, state, romanizer in (
        ("results.jsonl", "1 done", "uroman"),
        ("mine.jsonl", "1 missing", "ell_Grek=shouting"),
        ("mine.jsonl", "1 done", "uroman,ell=shouting"),
        ("mine.jsonl", "1 done", "data-bin"),
        ("mine.jsonl", "1 done", "./data-bin/shard00"),
    ):
        assert suite_of(place, output, input="latn", romanizer=romanizer) == 0
        assert state in capsys.readouterr().out, romanizer
    assert suite_of(place, input="latn", romanizer="ell_Grek=shouting") == 1
    assert "is this measurement with other settings" in capsys.readouterr().out
    said = {result.config["romanizer"] for result in read_results(place / "mine.jsonl")}
    assert said == {"ell_Grek: shouting 3; others: uroman 1.3.1.1"}
    alone = retrieval(place, "alone.jsonl", "--input", "latn", "--romanizer", "ell_Grek=shouting")
    values = [(result.metric, result.value) for result in read_results(place / "mine.jsonl")]
    assert values == [(result["metric"], result["value"]) for result in alone]


def test_a_romanizer_of_a_language_without_text_fails_the_cell(place, capsys):
    assert suite_of(place, input="latn", romanizer="zho_Hani=pypinyin") == 1
    assert "a romanizer is named for zho_Hani, of which" in capsys.readouterr().out
    assert not (place / "results.jsonl").exists()


@pytest.mark.parametrize("command", ["retrieval", "classify", "tag"])
def test_every_command_has_both(command, capsys):
    assert exit_code(cli.main, command, "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--input {orig,latn}" in said
    assert "--romanizer NAME|LANG=NAME,...|DIR what romanizes, with --input latn:" in said
