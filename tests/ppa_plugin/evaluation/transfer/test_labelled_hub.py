"""Labelled sets of the Hugging Face hub: real `datasets` objects behind a hub that is made up."""

import hashlib
import sys

import datasets
import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.tasks import TASKS
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet, TaggingSet
from ppa_plugin.evaluation.transfer.labelled_files import Sentence, TaggedSentence


def named(column, names):
    return datasets.Sequence(datasets.ClassLabel(names=names)) if column else datasets.ClassLabel(names=names)


@pytest.fixture
def hub(monkeypatch):
    """A dict {(path, configuration, split): Dataset} that stands for the hub; `asked` are the revisions."""
    shelf, asked = {}, []

    def configurations(path, revision=None):
        asked.append(revision)
        return sorted({name for where, name, _ in shelf if where == path})

    def load(path, name, split, revision=None):
        asked.append(revision)
        return shelf[path, name, split]

    monkeypatch.setattr(datasets, "get_dataset_config_names", configurations)
    monkeypatch.setattr(
        datasets,
        "get_dataset_split_names",
        lambda path, name, revision=None: [s for p, n, s in shelf if (p, n) == (path, name)],
    )
    monkeypatch.setattr(datasets, "load_dataset", load)
    return shelf, asked


def test_sib200(hub):
    shelf, asked = hub
    labels = TASKS["sib200"].labels
    for split in ("train", "validation", "test"):
        columns = {
            "index_id": list(range(7)),
            "category": list(labels),
            "text": [f"{split} {label}" for label in labels],
        }
        for language in ("eng_Latn", "zho_Hans"):
            shelf["Davlan/sib200", language, split] = datasets.Dataset.from_dict(columns)
    data = ClassificationSet("hf:Davlan/sib200@v1", "sib200")
    assert data.languages == ["eng_Latn", "zho_Hani"]
    data.check(["eng_Latn"], ["zho_Hani"])
    assert data.split("zho_Hani", "dev").sentences[0] == Sentence("validation entertainment", "entertainment")
    assert set(asked) == {"v1"}
    content = "".join(f"{label}\t{split} {label}\n" for split in ("train", "validation", "test") for label in labels)
    assert data.data_sha256("eng_Latn", "zho_Hani") == hashlib.sha256(content.encode()).hexdigest()
    with pytest.raises(UserError, match="--targets is needed with --data hf:Davlan/sib200@v1: it has 2 languages"):
        data.targets("eng_Latn")
    with pytest.raises(UserError, match="has no sib200 text in ell_Grek"):
        data.split("ell_Grek", "test")


def test_sib200_with_numbered_labels_and_a_label_too_many(hub):
    shelf, _ = hub
    features = datasets.Features({"category": named(False, ["travel", "food"]), "text": datasets.Value("string")})
    rows = datasets.Dataset.from_dict({"category": [0, 0, 1], "text": ["a", "b", "c"]}, features=features)
    shelf["Davlan/sib200", "eng_Latn", "train"] = rows
    data = ClassificationSet("hf:Davlan/sib200", "sib200")
    split = data.split("eng_Latn", "train")
    assert [s.label for s in split.sentences] == ["travel", "travel", "food"]
    with pytest.raises(UserError, match="hf:Davlan/sib200 eng_Latn, train, row 3: 'food'"):
        data._check_labels(split, list(TASKS["sib200"].labels), "eng_Latn")


def test_wikiann(hub):
    shelf, _ = hub
    names = ["O", "B-PER", "I-PER"]
    features = datasets.Features(
        {"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": named(True, names)}
    )
    rows = {"tokens": [["Ann", "Lee"], [], ["sings"]], "ner_tags": [[1, 2], [], [0]]}
    for code in ("en", "zh-yue", "simple"):
        shelf["unimelb-nlp/wikiann", code, "test"] = datasets.Dataset.from_dict(rows, features=features)
    data = TaggingSet("hf:wikiann", "ner")
    assert data.languages == ["eng_Latn", "yue_Hani"]
    expected = [TaggedSentence(("Ann", "Lee"), ("B-PER", "I-PER")), TaggedSentence(("sings",), ("O",))]
    assert data.split("yue_Hani", "test").sentences == expected
    with pytest.raises(UserError, match="hf:wikiann has no train split for eng_Latn"):
        data.split("eng_Latn", "train")


def test_universal_dependencies_without_contractions_and_with_every_treebank(hub):
    shelf, _ = hub
    names = ["ADP", "DET", "_"]
    features = datasets.Features({"tokens": datasets.Sequence(datasets.Value("string")), "upos": named(True, names)})
    rows = datasets.Dataset.from_dict({"tokens": [["Du", "De", "le"]], "upos": [[2, 0, 1]]}, features=features)
    for treebank in ("fr_gsd", "fr_pud"):
        shelf["universal-dependencies/universal_dependencies", treebank, "test"] = rows
    shelf["universal-dependencies/universal_dependencies", "fr_gsd", "train"] = rows
    data = TaggingSet("hf:universal_dependencies", "pos")
    sentence = TaggedSentence(("De", "le"), ("ADP", "DET"))
    assert data.split("fra_Latn", "test").sentences == [sentence] * 2
    assert data.split("fra_Latn", "train").sentences == [sentence]


def test_what_is_not_there_is_one_sentence(hub, monkeypatch):
    with pytest.raises(UserError, match="hf:squad is not a dataset of ner that is known here; known: hf:wikiann"):
        TaggingSet("hf:squad", "ner")
    with pytest.raises(UserError, match="hf:wikiann is not a dataset of pos"):
        TaggingSet("hf:wikiann", "pos")

    def unreachable(path, revision=None):
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(datasets, "get_dataset_config_names", unreachable)
    with pytest.raises(UserError, match=r"^cannot read hf:wikiann: ConnectionError: no network$"):
        TaggingSet("hf:wikiann", "ner")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"--data hf:wikiann takes the package datasets: pip install"):
        TaggingSet("hf:wikiann", "ner")
