"""Every layout of labelled text that the readers take, and every sentence that they refuse one with."""

import hashlib

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.tasks import CLASSIFICATION, TASKS
from ppa_plugin.evaluation.transfer.labelled import SETS, ClassificationSet, TaggingSet
from ppa_plugin.evaluation.transfer.labelled_files import Sentence, TaggedSentence, read_classes, read_tags

SPLITS = ("train", "dev", "test")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def classes(task, heading=""):
    return heading + "".join(f"{i}\t{label}\ttext {label}\n" for i, label in enumerate(TASKS[task].labels))


BIO = "Ann\tB-PER\nLee\tI-PER\nsings\tO\n\nOslo\tB-LOC\n"
TAGGED = [
    TaggedSentence(("Ann", "Lee", "sings"), ("B-PER", "I-PER", "O")),
    TaggedSentence(("Oslo",), ("B-LOC",)),
]
CONLLU = (
    "# sent_id = 1\n# text = Du chat\n1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tDe\tde\tADP\t_\t_\t3\tcase\t_\t_\n"
    "2\tle\tle\tDET\t_\t_\t3\tdet\t_\t_\n3\tchat noir\tchat\tNOUN\t_\t_\t0\troot\t_\t_\n"
    "3.1\tvu\tvoir\tVERB\t_\t_\t_\t_\t_\t_\n\n# sent_id = 2\n1\t#\t#\tSYM\t_\t_\t0\troot\t_\t_\n"
)
RAW = [
    TaggedSentence(("De", "le", "chat noir"), ("ADP", "DET", "NOUN")),
    TaggedSentence(("#",), ("SYM",)),
]
PARSED = [TaggedSentence(("De", "le", "chatnoir"), ("ADP", "DET", "NOUN")), RAW[1]]


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("{lang}/{split}.tsv", "id\tlabel\tverse\n"),
        ("{lang}/{split}.tsv", "index_id\tcategory\ttext\n"),
        ("860_{lang}_{split}.tsv", ""),
        ("{lang}_{split}.tsv", ""),
        ("{split}/{lang}_{split}.tsv", ""),
        ("taxi1500/{lang}/{split}.tsv", ""),
        ("{lang}/{split}.tsv", "\ufeffid\tlabel\tverse\n"),
    ],
)
def test_classification_layouts(tmp_path, name, heading):
    for split in SPLITS:
        write(tmp_path / name.format(lang="ell_Grek", split=split), classes("taxi1500", heading))
        write(tmp_path / name.format(lang="pes_Arab", split=split), classes("taxi1500", heading))
    data = ClassificationSet(tmp_path, "taxi1500")
    assert data.languages == data.targets("ell_Grek") == ["ell_Grek", "fas_Arab"]
    data.check(["ell_Grek", "fas_Arab"], ["fas_Arab", "ell_Grek"])
    sentences = data.split("fas_Arab", "test").sentences
    assert sentences == [Sentence(f"text {label}", label) for label in TASKS["taxi1500"].labels]


def test_columns_are_found_by_their_headings_and_csv_is_unquoted(tmp_path):
    rows = 'id\ttext\tlabel\n1\t"""Go,"" he said."\ta b\r\n\n2\t"Go," he "said"\tc\u2028d\n'
    path = write(tmp_path / "test.tsv", rows)
    found = read_classes(path)
    assert found.sentences == [Sentence('"Go," he said.', "a b"), Sentence('"Go," he "said"', "c\u2028d")]
    assert found.places == {"a b": f"{path}, line 2", "c\u2028d": f"{path}, line 4"}


@pytest.mark.parametrize(
    "name",
    [
        "{lang}/{split}.tsv",
        "{lang}/{split}.txt",
        "{lang}/{split}.conll",
        "{lang}/{split}.bio",
        "{lang}/{split}",
        "{split}-{lang}.tsv",
        "panx/{split}-{lang}.tsv",
        "{lang}-{split}",
        "ner/{lang}/{split}.tsv",
    ],
)
@pytest.mark.parametrize("codes", [("eng_Latn", "zho_Hani"), ("en", "zh"), ("eng", "cmn")])
def test_ner_layouts(tmp_path, name, codes):
    for split in SPLITS:
        for code in codes:
            write(tmp_path / name.format(lang=code, split=split.replace("dev", "valid")), BIO)
    data = TaggingSet(tmp_path, "ner")
    assert data.languages == ["eng_Latn", "zho_Hani"]
    assert data.targets("eng_Latn") == ["zho_Hani"]
    data.check(["eng_Latn"], ["zho_Hani"])
    assert data.labels("eng_Latn") == ["O", "B-LOC", "B-PER", "I-PER"]
    assert data.split("zho_Hani", "dev").sentences == TAGGED


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", BIO),
        ("a.txt", BIO.replace("\t", " ")),
        ("a.txt", BIO.replace("\n", "\r\n")),
        ("a.conll", "-DOCSTART- -X- O O\n\n" + BIO.replace("\t", " NN I-NP ")),
        ("a", "".join(f"en:{line}\n" if line else "\n" for line in BIO.splitlines())),
        ("a.iob2", "# text = x\n1\tAnn\tB-PER\t-\t-\n2\tLee\tI-PER\t-\t-\n3\tsings\tO\t-\t-\n\n1\tOslo\tB-LOC\t-\t-\n"),
        ("a.tsv", BIO + "\n\n \n\n"),
    ],
)
def test_forms_of_bio(tmp_path, name, text):
    assert read_tags(write(tmp_path / name, text), "ner").sentences == TAGGED


def test_words_that_only_look_like_a_prefix_stay(tmp_path):
    for text in ("en:a\tO\nfr:b\tO\n", "http:a\tO\nhttp:b\tO\n", "#\tO\nen:\tO\n", "en\tO\n"):
        words = [line.split("\t")[0] for line in text.splitlines()]
        assert list(read_tags(write(tmp_path / "a.tsv", text), "ner").sentences[0].words) == words


@pytest.mark.parametrize(
    "name",
    [
        "{lang}/{split}.conllu",
        "udpos/{lang}/{split}.conllu",
        "UD_X-Y/{lang}_abc-ud-{split}.conllu",
        "UD_X-Y/{lang}_abc-ud-{split}-a.conllu",
        "{lang}_abc-ud-{split}.conllu",
    ],
)
def test_conllu_layouts(tmp_path, name):
    for split in SPLITS:
        write(tmp_path / name.format(lang="fr", split=split), CONLLU)
    data = TaggingSet(tmp_path, "pos")
    data.check(["fra_Latn"], data.targets("fra_Latn"))
    assert data.split("fra_Latn", "test").sentences == PARSED
    assert TaggingSet(tmp_path, "pos", raw_words=True).split("fra_Latn", "test").sentences == RAW
    assert data.labels("fra_Latn") == list(TASKS["pos"].labels)


def test_pos_as_xtreme_has_it(tmp_path):
    write(tmp_path / "udpos/test-el.tsv", "a\tNOUN\nb\tVERB\n\nc\tX\n")
    sentences = TaggingSet(tmp_path, "pos").split("ell_Grek", "test").sentences
    assert [s.tags for s in sentences] == [("NOUN", "VERB"), ("X",)]


def test_treebanks_of_one_language_are_joined(tmp_path):
    for name in ("fr_a", "fr_b"):
        write(tmp_path / f"UD/{name}-ud-test.conllu", CONLLU)
    assert TaggingSet(tmp_path, "pos").split("fra_Latn", "test").sentences == PARSED * 2


def test_data_sha256_is_that_of_the_three_files_one_after_the_other(tmp_path):
    for i, (language, split) in enumerate([("en", "train"), ("en", "dev"), ("zh", "test")]):
        write(tmp_path / f"{split}-{language}.tsv", f"word{i}\tB-PER\n")
    joined = b"word0\tB-PER\nword1\tB-PER\nword2\tB-PER\n"
    assert TaggingSet(tmp_path, "ner").data_sha256("eng_Latn", "zho_Hani") == hashlib.sha256(joined).hexdigest()


def good(tmp_path, task):
    for language in ("eng_Latn", "ell_Grek"):
        for split in SPLITS:
            if TASKS[task].kind == CLASSIFICATION:
                write(tmp_path / language / f"{split}.tsv", classes(task))
            else:
                write(
                    tmp_path / language / f"{split}.{'tsv' if task == 'ner' else 'conllu'}",
                    BIO if task == "ner" else CONLLU,
                )


@pytest.mark.parametrize(
    ("task", "file", "text", "says"),
    [
        ("sib200", "eng_Latn/train.tsv", None, "has no sib200 train file for eng_Latn .*; there is one for: ell_Grek$"),
        ("ner", "eng_Latn/dev.tsv", None, "has no ner dev file for eng_Latn"),
        ("pos", "ell_Grek/test.conllu", None, r"has no pos test file for ell_Grek \(ell_Grek/test.conllu\)"),
        ("sib200", "ell_Grek/test.tsv", "", "ell_Grek/test.tsv is empty$"),
        ("taxi1500", "eng_Latn/dev.tsv", "id\tlabel\tverse\n", "eng_Latn/dev.tsv is empty$"),
        ("ner", "eng_Latn/dev.tsv", "\n\n", "dev.tsv is empty"),
        ("pos", "eng_Latn/train.conllu", "# text = x\n", "train.conllu is empty"),
        (
            "taxi1500",
            "eng_Latn/train.tsv",
            classes("taxi1500").replace("Grace", "Sin"),
            "has 5 of the 6 .* missing: Grace$",
        ),
        (
            "taxi1500",
            "ell_Grek/test.tsv",
            classes("taxi1500") + "9\tSins\tx\n",
            "test.tsv, line 7: 'Sins' is none of the",
        ),
        ("sib200", "eng_Latn/dev.tsv", "1\ttravel\tx\n2\tfood\ty\n", "dev.tsv, line 2: 'food' is none of the labels"),
        ("sib200", "eng_Latn/dev.tsv", "1\ttravel\n", "dev.tsv, line 1: 2 columns; expected id, label and text"),
        ("sib200", "eng_Latn/dev.tsv", "1\ttravel\tx\n\n1\ttravel\t \n", "dev.tsv, line 3: its text is empty"),
        ("sib200", "eng_Latn/dev.tsv", "1\t\tx\n", "dev.tsv, line 1: its label is empty"),
        (
            "ner",
            "ell_Grek/test.tsv",
            "\na\tO\nb\tB-DATE\n",
            "test.tsv, line 3: 'B-DATE' is not in the training set of eng",
        ),
        ("ner", "eng_Latn/dev.tsv", "b\tI-LOC\n", "dev.tsv, line 1: 'I-LOC' is not in the training set"),
        ("ner", "eng_Latn/dev.tsv", "a\tO\nb\n", "dev.tsv, line 2: 1 columns; expected 2, as above"),
        ("ner", "eng_Latn/dev.tsv", "a\n", "dev.tsv, line 1: 1 columns; expected a word and its tag"),
        ("ner", "eng_Latn/dev.tsv", "a\tLOC\n", "dev.tsv, line 1: 'LOC' is not a BIO tag"),
        ("ner", "eng_Latn/dev.tsv", "a\tB_LOC\n", "'B_LOC' is not a BIO tag"),
        ("ner", "eng_Latn/dev.tsv", "a\tB-\n", "'B-' is not a BIO tag"),
        ("ner", "eng_Latn/train.tsv", "a\tO\n", "train.tsv has no entity: every tag is O"),
        ("pos", "eng_Latn/dev.conllu", "1\ta\tNOUN\n", "dev.conllu, line 1: 3 columns; CoNLL-U has 10"),
        ("pos", "eng_Latn/dev.conllu", CONLLU.replace("NOUN", "NN"), "dev.conllu, line 6: 'NN' is not one of the 17"),
        (
            "pos",
            "eng_Latn/dev.conllu",
            CONLLU.replace("3\tchat", "x\tchat"),
            "dev.conllu, line 6: 'x' is not a word's number",
        ),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path, task, file, text, says):
    good(tmp_path, task)
    data = SETS[TASKS[task].kind](tmp_path, task)
    data.check(["eng_Latn"], ["ell_Grek"])
    if text is None:
        (tmp_path / file).unlink()
    else:
        write(tmp_path / file, text)
    data = SETS[TASKS[task].kind](tmp_path, task)
    with pytest.raises(UserError, match=says):
        data.check(["eng_Latn"], ["ell_Grek"])


def test_entities_that_the_source_lacks_may_be_taken_for_outside(tmp_path):
    good(tmp_path, "ner")
    write(tmp_path / "ell_Grek/test.tsv", "a\tB-DATE\nb\tI-DATE\nc\tB-PER\nd\tI-DATE\n")
    data = TaggingSet(tmp_path, "ner", unknown_labels="outside")
    data.check(["eng_Latn"], ["ell_Grek"])
    assert data.outside(data.split("ell_Grek", "test"), data.labels("eng_Latn")) == {"B-DATE": 1, "I-DATE": 2}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "holds no ner files such as eng_Latn/train.tsv"),
        (("klingon/test.tsv",), "holds no ner files"),
        (
            ("pes_Arab/test.tsv", "fas_Arab/test.tsv"),
            "fas_Arab/test.tsv and .*pes_Arab/test.tsv are both fas_Arab's test",
        ),
        (("eng_Latn/dev.tsv", "eng_Latn/valid.tsv"), "are both eng_Latn's dev set; keep one"),
    ],
)
def test_directories_that_are_no_set(tmp_path, names, says):
    for name in names:
        write(tmp_path / name, BIO)
    with pytest.raises(UserError, match=says):
        TaggingSet(tmp_path, "ner")
    with pytest.raises(UserError, match="is not a directory"):
        TaggingSet(tmp_path / "nowhere", "ner")
