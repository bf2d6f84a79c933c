"""The retrieval layouts."""

import builtins
import hashlib
import io
from collections import Counter

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.retrieval import retrieve
from ppa_plugin.evaluation.retrieval.readers import RetrievalSet


def write(directory, name, *lines):
    (directory / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def bible(tmp_path):
    for language in ("fas_Arab", "ell_Grek"):
        write(tmp_path, f"bible.{language}-eng_Latn.{language}", f"{language} one", f"{language}\u2028two")
        write(tmp_path, f"bible.{language}-eng_Latn.eng_Latn", "one", "two")
    write(tmp_path, "verse_ids.txt", "40001001", "40001002")
    write(tmp_path, "tatoeba.cmn-eng.cmn", "别的")
    write(tmp_path, "tatoeba.cmn-eng.eng", "else")
    return tmp_path


def test_glot500_names_and_line_ends(bible):
    data = RetrievalSet(bible, "bible")
    assert data.languages == ["ell_Grek", "eng_Latn", "fas_Arab"]
    assert data.targets("fas_Arab") == ["ell_Grek", "eng_Latn"]
    pair = data.pair("eng_Latn", "fas_Arab")
    assert pair.queries.sentences == ("one", "two")
    assert pair.candidates.sentences == ("fas_Arab one", "fas_Arab\u2028two")
    assert data.pair("fas_Arab", "eng_Latn").queries == pair.candidates


def test_data_sha256_is_that_of_both_files_one_after_the_other(bible):
    pair = RetrievalSet(bible, "bible").pair("fas_Arab", "ell_Grek")
    names = ("bible.fas_Arab-eng_Latn.fas_Arab", "bible.ell_Grek-eng_Latn.ell_Grek")
    assert pair.data_sha256 == hashlib.sha256(b"".join((bible / name).read_bytes() for name in names)).hexdigest()


def test_every_file_is_read_once_however_often_it_is_asked_for(bible, monkeypatch):
    opened = Counter()

    def counting(path, *more, _open=builtins.open, **named):
        opened[getattr(path, "name", path)] += 1
        return _open(path, *more, **named)

    monkeypatch.setattr(builtins, "open", counting)
    monkeypatch.setattr(io, "open", counting)
    data = RetrievalSet(bible, "bible")
    pairs = [data.pair(source, target) for source in data.languages for target in data.targets(source)]
    found = [[pair.data_sha256 for pair in pairs] for _ in range(3)]
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) == len(pairs) == 6
    languages = ("fas_Arab", "ell_Grek")
    assert opened == {f"bible.{code}-eng_Latn.{side}": 1 for code in languages for side in (code, "eng_Latn")}


def test_lasers_names(bible):
    data = RetrievalSet(bible, "tatoeba")
    assert data.languages == ["eng_Latn", "zho_Hani"]
    assert data.pair("zho_Hani", "eng_Latn").queries.sentences == ("别的",)


def test_two_languages_are_joined_through_english(bible):
    data = RetrievalSet(bible, "bible")
    pair = data.pair("fas_Arab", "ell_Grek")
    assert (pair.queries.sentences[0], pair.candidates.sentences[0]) == ("fas_Arab one", "ell_Grek one")
    assert pair.warning == ""
    write(bible, "bible.ell_Grek-eng_Latn.eng_Latn", "one", "another")
    assert "differ in 1 lines" in RetrievalSet(bible, "bible").pair("fas_Arab", "ell_Grek").warning


def test_tatoebas_languages_join_english_only(bible):
    write(bible, "tatoeba.pes-eng.pes", "جمله")
    write(bible, "tatoeba.pes-eng.eng", "sentence")
    data = RetrievalSet(bible, "tatoeba")
    assert data.targets("fas_Arab") == ["eng_Latn"]
    with pytest.raises(UserError, match="parallel to English only"):
        data.pair("fas_Arab", "zho_Hani")


@pytest.mark.parametrize(
    ("task", "source", "named", "targets"),
    [
        ("bible", "eng_Latn", None, ["ell_Grek", "fas_Arab"]),
        ("bible", "fas_Arab", None, ["ell_Grek"]),
        ("bible", "fas_Arab", ["eng_Latn", "ell_Grek"], ["eng_Latn", "ell_Grek"]),
        ("tatoeba", "zho_Hani", None, ["eng_Latn"]),
    ],
)
def test_english_is_ranked_where_it_is_named_or_alone(bible, task, source, named, targets):
    assert [pair.target for pair in retrieve.plan(RetrievalSet(bible, task), [source], named)] == targets


def test_an_unknown_language_lists_those_found(bible):
    with pytest.raises(UserError, match="no bible text in tur_Latn; found: ell_Grek, eng_Latn, fas_Arab"):
        RetrievalSet(bible, "bible").pair("eng_Latn", "tur_Latn")


def test_differing_line_counts_name_both_files(bible):
    write(bible, "bible.ell_Grek-eng_Latn.ell_Grek", "only one")
    with pytest.raises(UserError, match=r"ell_Grek-eng_Latn.ell_Grek has 1 lines and .*eng_Latn has 2"):
        RetrievalSet(bible, "bible").pair("eng_Latn", "ell_Grek")
    for side in ("ell_Grek", "eng_Latn"):
        write(bible, f"bible.ell_Grek-eng_Latn.{side}", "only one")
    with pytest.raises(UserError, match=r"fas_Arab has 2 lines and .*ell_Grek has 1"):
        RetrievalSet(bible, "bible").pair("fas_Arab", "ell_Grek")


def test_files_that_cannot_be_used(bible, tmp_path):
    (bible / "bible.ell_Grek-eng_Latn.eng_Latn").unlink()
    with pytest.raises(UserError, match=r"cannot read .*ell_Grek-eng_Latn.eng_Latn"):
        RetrievalSet(bible, "bible").pair("eng_Latn", "ell_Grek")
    (bible / "bible.fas_Arab-eng_Latn.fas_Arab").write_bytes(b"one\n\xff\n")
    with pytest.raises(UserError, match=r"fas_Arab, line 2: not valid UTF-8"):
        RetrievalSet(bible, "bible").pair("eng_Latn", "fas_Arab")
    (bible / "bible.fas_Arab-eng_Latn.fas_Arab").write_bytes(b"")
    with pytest.raises(UserError, match="is empty"):
        RetrievalSet(bible, "bible").pair("eng_Latn", "fas_Arab")
    with pytest.raises(UserError, match="holds no sib files"):
        RetrievalSet(bible, "sib")
    with pytest.raises(UserError, match="not a directory"):
        RetrievalSet(tmp_path / "nowhere", "sib")


def test_two_files_for_one_language(bible):
    write(bible, "tatoeba.zho_Hani-eng_Latn.zho_Hani", "别的")
    with pytest.raises(UserError, match="both zho_Hani"):
        RetrievalSet(bible, "tatoeba")
