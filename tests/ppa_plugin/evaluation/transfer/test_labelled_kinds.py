"""Labelled files on which users were let down: unknown codes, WikiANN's prefixes, treebanks without text, U+200C."""

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.analysis.romanized_text import PairFiles
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
from ppa_plugin.evaluation.transfer.labelled import ClassificationSet, TaggingSet
from ppa_plugin.evaluation.transfer.labelled_files import TaggedSentence, as_published, has_words, read_tags

SPLITS = ("train", "dev", "test")
MASAKHANER = "Ali B-PER\nya O\n\nKano B-LOC\nce O\n"
KANNADA = "kn:ಬೆಂಗಳೂರು\tB-LOC\nkn:ನಗರ\tO\n\nkn:ಕುವೆಂಪು\tB-PER\nkn:ಕವಿ\tO\n"
ENGLISH = "en:Paris\tB-LOC\nen:city\tO\n\nen:Ada\tB-PER\n(\tO\nen:writer\tO\n"
WITHOUT_TEXT = "".join(f"{i}\t_\t_\t{tag}\t_\t_\t0\troot\t_\t_\n" for i, tag in enumerate(("PRON", "X", "PUNCT"), 1))
UD = "universal-dependencies/universal_dependencies"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def words(path, task="ner"):
    return [list(sentence.words) for sentence in read_tags(path, task).sentences]


def conllu(*forms):
    return "".join(f"{i}\t{form}\tx\tX\t_\t_\t0\troot\t_\t_\n" for i, form in enumerate(forms, 1)) + "\n"


def test_every_language_that_lies_there_is_found_by_the_code_it_has(tmp_path, capsys):
    for code in ("hau", "swa", "zul", "kmr", "zh-min-nan", "fiu-vro", "xyz_Adlm"):
        for split in SPLITS:
            write(tmp_path / code / f"{split}.txt", MASAKHANER)
    data = TaggingSet(tmp_path, "ner")
    assert data.targets("hau_Latn") == [
        *("hau_Latn", "kmr_Latn", "nan_Latn", "swa_Latn", "vro_Latn", "xyz_Adlm", "zul_Latn"),
    ]
    data.check(["swa_Latn"], data.targets("swa_Latn"))
    assert capsys.readouterr().err == ""


def test_ud_repositories_side_by_side_with_training_sets_in_parts(tmp_path, capsys):
    write(tmp_path / "UD_Manx-Cadhan/gv_cadhan-ud-test.conllu", conllu("a"))
    for part in "abc":
        write(tmp_path / f"UD_Russian-SynTagRus/ru_syntagrus-ud-train-{part}.conllu", conllu(part))
    data = TaggingSet(tmp_path, "pos")
    assert data.languages == ["glv_Latn", "rus_Cyrl"]
    assert [s.words for s in data.split("rus_Cyrl", "train").sentences] == [("a",), ("b",), ("c",)]
    assert capsys.readouterr().err == ""


def test_what_is_named_as_no_language_is_named_in_one_line(tmp_path, capsys):
    for code in ("hau", "simple", "klingon"):
        write(tmp_path / code / "test.txt", MASAKHANER)
    write(tmp_path / "notes" / "readme.txt", "no split")
    says = f"{tmp_path}: passed over klingon, simple: no language codes known here; rename them as in tur_Latn"
    for _ in range(2):
        data = TaggingSet(tmp_path, "ner")
    assert capsys.readouterr().err == f"note: {says}\n"
    with pytest.raises(UserError, match=r"there is one for: hau_Latn; passed over klingon, simple: no language codes"):
        data.split("ell_Grek", "test")


def test_a_directory_of_unknown_names_alone_says_why_it_has_no_files(tmp_path):
    write(tmp_path / "klingon/test.tsv", "1\ta\tb\n")
    with pytest.raises(UserError, match=r"holds no sib200 files such as .*; passed over klingon: no language codes"):
        ClassificationSet(tmp_path, "sib200")
    for name in ("tatoeba.klingon-eng.klingon", "tatoeba.klingon-eng.eng"):
        write(tmp_path / name, "a\n")
    with pytest.raises(UserError, match=r"holds no tatoeba files .*; passed over klingon: no language codes"):
        RetrievalSet(tmp_path, "tatoeba")
    write(tmp_path / "klingon.orig", "a\n")
    with pytest.raises(UserError, match=r"holds no file <lang>.orig.*; passed over klingon: no language codes"):
        PairFiles(tmp_path)


def test_retrieval_files_and_pairs_of_unknown_names_are_named_in_one_line(tmp_path, capsys):
    for code in ("zh-yue", "kmr", "klingon"):
        for side in (code, "eng"):
            write(tmp_path / f"tatoeba.{code}-eng.{side}", "a\n")
        write(tmp_path / f"{code}.orig", "a\n")
    for _ in range(2):
        data = RetrievalSet(tmp_path, "tatoeba")
    assert data.targets("eng_Latn") == ["kmr_Latn", "yue_Hani"]
    passed = f"note: {tmp_path}: passed over klingon: no language codes known here; rename them as in tur_Latn\n"
    assert capsys.readouterr().err == passed
    with pytest.raises(UserError, match="found: eng_Latn, kmr_Latn, yue_Hani; passed over klingon"):
        data.check_languages(["ell_Grek"])
    assert PairFiles(tmp_path).languages == ["kmr_Latn", "yue_Hani"]


def test_wikianns_prefix_goes_whether_or_not_its_language_is_known(tmp_path, capsys):
    assert words(write(tmp_path / "kan_Knda/train", KANNADA)) == [["ಬೆಂಗಳೂರು", "ನಗರ"], ["ಕುವೆಂಪು", "ಕವಿ"]]
    for code in ("zh-min-nan", "simple", "map-bms", "qqq"):
        assert words(write(tmp_path / code / "train", KANNADA.replace("kn:", f"{code}:")))[0][0] == "ಬೆಂಗಳೂರು"
    assert capsys.readouterr().err == ""


def test_a_wikiann_word_without_its_prefix_stays_and_so_do_other_colons(tmp_path, capsys):
    path = write(tmp_path / "eng_Latn/train", ENGLISH)
    assert words(path) == [["Paris", "city"], ["Ada", "(", "writer"]]
    assert capsys.readouterr().err == f"note: {path}: 4 of 5 words begin with 'en:': taken for WikiANN's and cut\n"
    path = write(tmp_path / "eng_Latn/dev", "en:at\tO\nen:12:30\tO\nen:http://a\tO\nen::\tO\nen:\tO\n")
    assert words(path) == [["at", "12:30", "http://a", ":", ""]]


@pytest.mark.parametrize(
    "text",
    [
        "at 12:30 re:see http://a.b mailto:c sv:s ratio 3:1\n\nen:wiki is a link and de:wiki is another one",
        "12:30 12:31 12:32",
        "http://a http://b https://c",
        "EU:n EU:hun",
        "en:a fr:b",
    ],
)
def test_colons_of_files_that_are_not_wikianns_stay(tmp_path, text):
    rows = [[f"{word} O" for word in line.split()] for line in text.split("\n") if line]
    path = write(tmp_path / "train.txt", "\n\n".join("\n".join(row) for row in rows) + "\n")
    assert words(path) == [line.split() for line in text.split("\n") if line]


def test_a_file_that_is_half_wikianns_is_left_alone_and_said(tmp_path, capsys):
    path = write(tmp_path / "train", "en:a\tO\nen:b\tO\nc\tO\nd\tO\n")
    assert words(path) == [["en:a", "en:b", "c", "d"]]
    says = f"note: {path}: 2 of 4 words begin with 'en:': no WikiANN file, so that they stay as they are\n"
    assert capsys.readouterr().err == says


def test_a_treebank_without_its_words_is_refused(tmp_path):
    for split in SPLITS:
        write(tmp_path / f"en_gumreddit-ud-{split}.conllu", f"# text = __ _\n{WITHOUT_TEXT}\n")
    says = "en_gumreddit-ud-train.conllu: every word is '_', .*; put the words in .*or leave the treebank out"
    with pytest.raises(UserError, match=says):
        TaggingSet(tmp_path, "pos").check(["eng_Latn"], ["eng_Latn"])


def test_sentences_without_words_beside_others_are_left_out_and_counted(tmp_path, capsys):
    blank = write(tmp_path / "en_gumreddit-ud-test.conllu", f"{WITHOUT_TEXT}\n{WITHOUT_TEXT}\n")
    other = write(tmp_path / "en_gum-ud-test.conllu", "# text = a _ b\n" + conllu("a", "_", "b") + conllu("_", "."))
    split = TaggingSet(tmp_path, "pos").split("eng_Latn", "test")
    assert split.sentences == [TaggedSentence(("a", "_", "b"), ("X",) * 3)]
    assert split.places == {"X": f"{other}, line 2"}
    says = f"note: {other}, {blank}: 3 sentences are left out, which have '_' for their words\n"
    assert capsys.readouterr().err == says


@given(st.lists(st.sampled_from(["_", "a"]), min_size=1, max_size=6))
def test_which_sentences_have_words_is_as_in_glot500s_preparation(sentence):
    empty = sentence.count("_")
    assert has_words(sentence, "pos") == (empty == 0 or empty < len(sentence) - 1)
    assert has_words(sentence, "ner") == (empty < len(sentence))


def test_rows_of_the_hub_without_words(monkeypatch, capsys):
    shelf = {"en_gum": [["a", "_", "b"], ["_", "_"]], "en_gumreddit": [["_", "_", "_"]]}
    tags = datasets.Sequence(datasets.ClassLabel(names=["X", "_"]))
    features = datasets.Features({"tokens": datasets.Sequence(datasets.Value("string")), "upos": tags})

    def load(path, name, split, revision=None):
        columns = {"tokens": shelf[name], "upos": [[0] * len(row) for row in shelf[name]]}
        return datasets.Dataset.from_dict(columns, features=features)

    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda path, revision=None: [*shelf, "klingon_tb"])
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda path, name, revision=None: ["test"])
    monkeypatch.setattr(datasets, "load_dataset", load)
    data = TaggingSet(f"hf:{UD}", "pos")
    assert data.split("eng_Latn", "test").sentences == [TaggedSentence(("a", "_", "b"), ("X",) * 3)]
    assert "en_gum en_gumreddit, test: 2 sentences are left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="no pos text in ell_Grek; there is some in: eng_Latn; passed over klingon_tb"):
        data.split("ell_Grek", "test")
    del shelf["en_gum"]
    with pytest.raises(UserError, match="en_gumreddit, test: every word is '_'"):
        TaggingSet(f"hf:{UD}", "pos").split("eng_Latn", "test")


def test_zero_width_non_joiners_and_inner_spaces_go_from_pos_words_unless_raw(tmp_path):
    forms = ("می\u200cخواهم", "chat noir", "\u200c", " a\u00a0b ", "10 000,5", "‌می‌", "a\u200db")
    prepared = ("میخواهم", "chatnoir", "", "a\u00a0b", "10000,5", "می", "a\u200db")
    write(tmp_path / "udpos/fa/test.conllu", conllu(*forms))
    write(tmp_path / "udpos/test-ur.tsv", "".join(f"{form}\tX\n" for form in forms))
    data, raw = TaggingSet(tmp_path, "pos"), TaggingSet(tmp_path, "pos", raw_words=True)
    for language in ("fas_Arab", "urd_Arab"):
        assert data.split(language, "test").sentences == [TaggedSentence(prepared, ("X",) * 7)]
        assert raw.split(language, "test").sentences == [TaggedSentence(forms, ("X",) * 7)]
        assert data.split(language, "test").content == raw.split(language, "test").content
    assert data.split("fas_Arab", "test").reading == {"raw_words": False}
    assert raw.split("fas_Arab", "test").reading == {"raw_words": True}


def test_words_of_named_entities_are_not_touched(tmp_path):
    write(tmp_path / "ner/fa/test.tsv", "می\u200cخواهم\tO\na b\tB-PER\n")
    split = TaggingSet(tmp_path, "ner").split("fas_Arab", "test")
    assert (split.sentences[0].words, split.reading) == (("می\u200cخواهم", "a b"), {})


@given(st.lists(st.text("a \u200c\u00a0\u200d_", max_size=4), min_size=1, max_size=5))
def test_words_and_tags_never_shift(forms):
    """Against the two calls that Glot500's preparation makes of a form."""
    tags = tuple(map(str, range(len(forms))))
    (prepared,) = as_published([TaggedSentence(tuple(forms), tags)])
    assert prepared.words == tuple("".join(form.strip().replace("\u200c", "").split(" ")) for form in forms)
    assert prepared.tags == tags
