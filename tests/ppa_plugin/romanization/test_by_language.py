"""Romanizers by language: as users name them, as manifests have them, and one text for all that come to the same."""

import json
from importlib import metadata

import pytest

from ppa_plugin.commandline import UserError, note_once
from ppa_plugin.romanization.by_language import Romanizers, parse
from ppa_plugin.romanization.by_part import Romanization

UROMAN = "uroman 1.3.1.1"  # the one that there is
PYPINYIN = f"pypinyin {metadata.version('pypinyin')}"
PLAIN, CHINESE = Romanization("uroman"), Romanization("pypinyin")


class Mine:
    version = "7"

    def romanize(self, line, lang):
        return f"<{line}>"


MINE = f"{__name__}:Mine"


@pytest.mark.parametrize(
    ("text", "ell", "zho", "said"),
    [
        ("uroman", PLAIN, PLAIN, UROMAN),
        ("pypinyin", CHINESE, CHINESE, PYPINYIN),
        ("uroman,zho_Hani=pypinyin", PLAIN, CHINESE, f"zho_Hani: {PYPINYIN}; others: {UROMAN}"),
        (" zh = pypinyin ", PLAIN, CHINESE, f"zho_Hani: {PYPINYIN}; others: {UROMAN}"),
        ("zho_Hans=pypinyin,uroman", PLAIN, CHINESE, f"zho_Hani: {PYPINYIN}; others: {UROMAN}"),
        ("pypinyin,ell=uroman", PLAIN, CHINESE, f"ell_Grek: {UROMAN}; others: {PYPINYIN}"),
        ("pypinyin,zho=pypinyin", CHINESE, CHINESE, PYPINYIN),
        (MINE, Romanization(MINE), Romanization(MINE), f"{MINE} 7"),
        (
            f"zho_Hani=pypinyin,ell_Grek={MINE}",
            Romanization(MINE),
            CHINESE,
            f"ell_Grek: {MINE} 7; zho_Hani: {PYPINYIN}; others: {UROMAN}",
        ),
    ],
)
def test_the_ways_to_name_romanizers(text, ell, zho, said):
    found = parse(text)
    assert (found.of("ell_Grek"), found.of("zho_Hani")) == (ell, zho)
    assert str(found) == said
    assert found.remark() == ({} if said == UROMAN else {"romanizer": said})
    assert (parse(None), str(parse(None))) == (Romanizers(), UROMAN)


def test_two_codes_of_standard_arabic_share_a_romanizer_unless_each_has_its_own():
    assert parse("arb_Arab=pypinyin").of("ara_Arab") == CHINESE
    both = parse("arb_Arab=pypinyin,ara_Arab=uroman")
    assert (both.of("arb_Arab"), both.of("ara_Arab")) == (CHINESE, PLAIN)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "--romanizer is '', known are: uroman, pypinyin, "),
        ("uroman,", "--romanizer is '', known are: "),
        ("yadda", "--romanizer is 'yadda', known are: "),
        ("uroman,zho_Hani=yadda", "--romanizer is 'yadda', known are: "),
        ("no.where:It", "--romanizer is 'no.where:It', which cannot be imported"),
        ("greek=uroman", "--romanizer: 'greek' is not a language code such as zho_Hani"),
        ("=uroman", "--romanizer: '' is not a language code"),
        ("a=b=uroman", "--romanizer: 'a=b' is not a language code"),
        ("uroman,pypinyin", "--romanizer uroman,pypinyin names two romanizers for all languages"),
        ("zh=uroman,zho_Hani=pypinyin", "names two romanizers for zho_Hani"),
        ("work/data-bin", "cannot read --romanizer work/data-bin: No such file or directory"),
        ("gone.json", "cannot read --romanizer gone.json: No such file"),
        ("uro\0man", "known are: "),
    ],
)
def test_what_names_none_is_one_sentence(text, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        parse(text)
    assert says in str(error.value)


def test_an_extra_that_is_missing_is_named(monkeypatch):
    def missing(distribution):
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(UserError) as error:
        parse("jpn_Jpan=cutlet")
    needs = "needs the package cutlet: pip install 'translit-ppa[cutlet]'"
    assert str(error.value) == f"--romanizer is 'cutlet', which {needs}"


def test_languages_without_text_are_named():
    found = parse("uroman,zho_Hani=pypinyin,arb_Arab=uroman")
    found.check_named(["zho_Hani", "ara_Arab", "ell_Grek"], "eval")
    with pytest.raises(UserError) as error:
        found.check_named(["ara_Arab", "ell_Grek"], "eval")
    assert str(error.value) == "a romanizer is named for zho_Hani, of which eval has no text; found: ara_Arab, ell_Grek"
    Romanizers(own={"zho_Hani": CHINESE}).check_named([], "eval")  # a manifest's languages need not be there


def made(name="uroman", number="1.3.1.1", code=None, punctuation=None) -> dict:
    return {"name": name, "version": number, "code": code, "punctuation": punctuation, "rescued": 0, "lossy": 0}


PINYIN = made("pypinyin", PYPINYIN)


@pytest.fixture
def shards(tmp_path):
    """Writes a manifest in `data-bin`, where `shard00` is; gives the directory."""
    note_once.cache_clear()

    def write(languages, romanizer=None):
        (tmp_path / "data-bin/shard00").mkdir(parents=True, exist_ok=True)
        group = {"name": "g"} if romanizer is None else {"name": "g", "romanizer": romanizer}
        content = {
            "format": 1,
            "group": group,
            "languages": {code: {"romanizer": of} for code, of in languages.items()},
        }
        (tmp_path / "data-bin/manifest.json").write_text(json.dumps(content))
        return tmp_path / "data-bin"

    return write


def test_a_manifest_says_what_its_languages_were_romanized_with(shards, monkeypatch, capsys):
    languages = {
        "ell_Grek": made(),
        "jpn_Jpan": made(code="jpn"),
        "cmn_Hani": made(punctuation="sacremoses 0.1.1"),
        "yue_Hani": [PINYIN, made()],
        "kor_Hang": made(code="kor", punctuation="sacremoses 0.1.1"),
    }
    directory = shards(languages, {"name": "uroman", "normalize_punctuation": False, "rescue": True})
    found = parse(str(directory))
    assert found.of("ell_Grek") == found.of("eng_Latn") == PLAIN
    assert found.of("jpn_Jpan") == Romanization("uroman", "jpn")
    assert found.of("zho_Hani") == Romanization("uroman", normalize_punctuation=True)
    assert found.of("yue_Hani") == CHINESE
    assert found.of("kor_Hang") == Romanization("uroman", "kor", normalize_punctuation=True)
    moses = f"punctuation by sacremoses {metadata.version('sacremoses')}"
    assert str(found) == (
        f"jpn_Jpan: {UROMAN} -l jpn; kor_Hang: {UROMAN} -l kor, {moses}; yue_Hani: {PYPINYIN}; "
        f"zho_Hani: {UROMAN}, {moses}; others: {UROMAN}"
    )
    assert capsys.readouterr().err == ""
    monkeypatch.chdir(directory.parent)
    ways = ("data-bin/manifest.json", "data-bin", "data-bin/", "data-bin/shard00", str(directory / "shard00"))
    assert all(parse(way) == found for way in ways)
    monkeypatch.chdir("/")
    assert parse("data-bin", folder=directory.parent) == found  # as in the file of a suite


def test_of_two_that_come_to_the_same_the_text_is_one(shards):
    directory = shards({"ell_Grek": made(), "zho_Hani": PINYIN}, {"name": "uroman"})
    assert str(parse(str(directory))) == str(parse("zho_Hani=pypinyin,ell_Grek=uroman"))
    assert parse(str(shards({"ell_Grek": made(), "fas_Arab": made()}))).remark() == {}


def test_other_languages_are_romanized_as_the_group_was(shards, capsys):
    group = [{"name": "pypinyin", "normalize_punctuation": True}, {"name": "uroman"}]
    found = parse(str(shards({"ell_Grek": made(), "tur_Latn": None}, group)))
    expected = Romanization("pypinyin", normalize_punctuation=True)
    assert found.of("ell_Grek") == PLAIN
    assert found.of("eng_Latn") == found.of("tur_Latn") == expected
    err = capsys.readouterr().err
    assert "manifest.json does not say what romanized tur_Latn; taken is pypinyin" in err
    assert err.count("\n") == 1


def test_what_is_named_after_a_manifest_stands_in_its_place(shards):
    foreign = made("somebody:Else", "1")
    directory = shards({"ell_Grek": foreign, "jpn_Jpan": made(code="jpn")}, {"name": "somebody:Else"})
    with pytest.raises(UserError, match="names the romanizer 'somebody:Else', which is of somebody's own"):
        parse(str(directory))
    found = parse(f"{directory},uroman, el=pypinyin")
    assert found.of("ell_Grek") == CHINESE
    assert found.of("jpn_Jpan") == Romanization("uroman", "jpn")
    assert found.of("tur_Latn") == PLAIN
    assert found.named == ("ell_Grek",)


def test_a_path_with_a_comma_is_a_path(shards, monkeypatch):
    directory = shards({"jpn_Jpan": made(code="jpn")})
    monkeypatch.chdir(directory.rename(directory.parent / "data,bin").parent)
    assert parse("data,bin").of("jpn_Jpan") == Romanization("uroman", "jpn")


def test_twenty_languages_are_more_than_a_file_can_be_called():
    languages = [f"{letter}aa_Latn" for letter in "abcdefghijklmnopqrst"]
    text = ",".join(["uroman", *(f"{language}=pypinyin" for language in languages)])
    assert len(text) > 255
    assert len(parse(text).own) == len(languages)
    with pytest.raises(UserError, match="--romanizer"):
        parse("a/" * 3000)


def test_another_version_is_said(shards, capsys):
    found = parse(str(shards({"zho_Hani": made("pypinyin", "pypinyin 0.1"), "yue_Hani": PINYIN})))
    assert found.of("zho_Hani") == CHINESE
    err = capsys.readouterr().err
    assert f"manifest.json: pypinyin was pypinyin 0.1 and is {PYPINYIN} here; it may write other letters" in err
    assert err.count("\n") == 1


def test_a_directory_of_a_romanizers_name_does_not_stand_before_it(tmp_path, monkeypatch):
    (tmp_path / "uroman").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse("uroman") == Romanizers()
    with pytest.raises(UserError, match=r"--romanizer: neither uroman nor .* has the manifest\.json of ppa-preprocess"):
        parse("./uroman")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "is not a JSON object"),
        ({}, "is no manifest.json of ppa-preprocess: it has no languages or no group"),
        ({"languages": {"a": {}}}, "it has no languages or no group"),
        ({"languages": {"a": {"romanizer": "uroman"}}}, "the romanizer of 'a' is 'uroman'"),
        ({"languages": {"a": 3}}, "the romanizer of 'a' is 3"),
        ({"languages": {"a": {"romanizer": []}}}, "the romanizer of 'a' is []"),
        ({"languages": {"a": {"romanizer": [3]}}}, "the romanizer of 'a' is [3]"),
        ({"languages": {"a": {"romanizer": {"name": "uroman", "version": "1"}}}}, "the romanizer of 'a' is {'name'"),
        ({"languages": {"a": {"romanizer": {**made(), "name": 3}}}}, "the romanizer of 'a' is {'name': 3"),
        ({"languages": {"a": {"romanizer": {**made(), "code": 3}}}}, "the romanizer of 'a' is {'name'"),
        ({"languages": {"a": {"romanizer": made("yadda")}}}, "manifest.json: a romanizer is 'yadda', known are: "),
        (
            {"languages": {"a": {"romanizer": made("pathlib:Path")}}},
            "names the romanizer 'pathlib:Path', which is of somebody's own: name it yourself after the path, as in",
        ),
        ({"languages": {"a": {}}, "group": {"romanizer": 3}}, "the romanizer of the group is 3"),
        (
            {"languages": {"zho_Hani": {"romanizer": made()}, "zho_Hans": {"romanizer": PINYIN}}},
            "has zho_Hani twice, romanized in two ways; name them: LANG=NAME,...",
        ),
    ],
)
def test_what_is_no_manifest_is_one_sentence(tmp_path, content, says):
    if isinstance(content, dict) and content and content != {"languages": {"a": {}}}:
        content = {"group": {}, **content}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        parse(str(tmp_path))
    assert str(tmp_path / "manifest.json") in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
