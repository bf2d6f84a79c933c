"""One or several romanizers a language: which pairs there are, in which order, and where every one of them went."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from made_up_text import UNDIGESTIBLE, StubRomanizer, sentences, tree, write_corpus
from ppa_preprocess.group import Language, RomanizerChoice, load_group

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation import typed_text
from ppa_plugin.romanization import romanizers
from ppa_plugin.romanization.by_language import parse

STUB = StubRomanizer().romanize
LINES = 90
ZHO = sentences("zho_Hani", LINES)
ZHO[5] = f"{ZHO[5]} {UNDIGESTIBLE}"  # which the stub raises on
ZHO[6] = "plain abc"  # both leave it
ZHO[8] = "天 unknown"  # the doubling one leaves it as it is
CORPUS = {"zho_Hani": ZHO, "ell_Grek": sentences("ell_Grek", LINES), "tur_Latn": sentences("tur_Latn", LINES)}


class Doubling(StubRomanizer):
    """Other letters than the stub's, for every script; leaves two kinds of lines as they are."""

    version = "2 of them"

    def romanize(self, line, lang):
        if line.isascii() or "unknown" in line:
            return line
        return "".join(f"{c}{c}" if c.isalpha() else c for c in STUB(line.replace(UNDIGESTIBLE, "?"), lang))

    def rescue(self, text, lang):
        raise AssertionError("nothing raises")


@pytest.fixture(autouse=True)
def doubling(monkeypatch):
    monkeypatch.setitem(romanizers.ROMANIZERS, "doubling", Doubling)


@pytest.fixture
def run(tmp_path, ppa, spm):
    corpus = write_corpus(tmp_path / "in", CORPUS)

    def make(output: str, languages: dict, *flags, step="all", code=0, **settings) -> Path:
        group = {"name": "g", "shards": 2, "valid_size": 10, "romanizer": "stub", "languages": languages} | settings
        (tmp_path / "g.yaml").write_text(yaml.safe_dump(group, sort_keys=False))
        arguments = ["--config", tmp_path / "g.yaml", "--output", tmp_path / output, "--workers", 1]
        arguments += ["--input", corpus] if step == "all" else []
        arguments += ["--spm", spm] if step in ("all", "encode") else []
        assert ppa(step, *arguments, *flags) == code, ppa.err
        return tmp_path / output

    return make


def rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def manifest_of(output: Path) -> dict:
    return json.loads((output / "data-bin/manifest.json").read_text(encoding="utf-8"))


def chosen(output: Path, lang: str) -> dict[str, list[int]]:
    """Which lines of `pairs/` are in which split."""
    return {split: np.load(output / f"encoded/{lang}/{split}.lines.npy").tolist() for split in ("train", "valid")}


def load(tmp_path: Path, content: str):
    (tmp_path / "g.yaml").write_text(f"name: g\n{content}", encoding="utf-8")
    return load_group(tmp_path / "g.yaml")


def test_the_ways_to_name_romanizers(tmp_path):
    group = load(
        tmp_path,
        "romanizer: [stub, {name: doubling, rescue: false}]\n"
        "languages:\n"
        "  ell_Grek:\n"
        "  tur_Latn: {romanizer: doubling}\n"
        "  zho_Hani: {romanizer: {normalize_punctuation: true}}\n"
        "  fas_Arab: {romanizer: [doubling, stub]}\n"
        "  heb_Hebr: {romanizer: null}\n",
    )
    stub, doubling, without = RomanizerChoice("stub"), RomanizerChoice("doubling"), RomanizerChoice("doubling", False)
    assert {lang: group.romanizers_of(lang) for lang in group.languages} == {
        "ell_Grek": (stub, RomanizerChoice("doubling", rescue=False)),
        "tur_Latn": (doubling,),
        "zho_Hani": (RomanizerChoice("uroman", normalize_punctuation=True),),
        "fas_Arab": (without, stub),
        "heb_Hebr": (stub, RomanizerChoice("doubling", rescue=False)),
    }
    # what the manifest says of the group is a group file that says the same
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(group.as_dict()), encoding="utf-8")
    assert load_group(tmp_path / "again.yaml") == group
    assert "romanizer" not in group.as_dict()["languages"]["ell_Grek"]
    assert group.as_dict()["languages"]["tur_Latn"]["romanizer"]["name"] == "doubling"
    every = group.with_normalized_punctuation()
    assert all(choice.normalize_punctuation for lang in every.languages for choice in every.romanizers_of(lang))
    assert every.languages["ell_Grek"] == Language()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("romanizer: []", "romanizer is an empty list, expected one romanizer or several, such as [uroman, pypinyin]"),
        ("romanizer: [stub, doubling, stub]", "romanizer names stub twice, which would make two equal pairs"),
        ("romanizer: [stub, {name: stub, rescue: false}]", "romanizer names stub twice"),
        ("romanizer: 3", "romanizer is 3, expected a mapping"),
        ("romanizer:", "romanizer is None, expected a mapping"),
        ("romanizer: [[stub]]", "romanizer is ['stub'], expected a mapping"),
        ("romanizer: [stub, yadda]", "romanizer.name is 'yadda', known are: uroman, "),
        ("romanizer: [{nmae: stub}]", "romanizer has an unknown key 'nmae'; the nearest known key is 'name'"),
        (f"romanizer: [{', '.join('abc' for _ in range(101))}]", "romanizer names 101, expected at most 100"),
        ("languages: {tur_Latn: {romanizer: ''}}", "languages.tur_Latn: romanizer.name is '', known are: uroman, "),
        ("languages: {tur_Latn: {romanizer: []}}", "languages.tur_Latn: romanizer is an empty list"),
        ("languages: {tur_Latn: {romanizer: [stub, stub]}}", "languages.tur_Latn: romanizer names stub twice"),
        ("languages: {tur_Latn: {romanizer: {rescue: 1}}}", "languages.tur_Latn: romanizer.rescue is 1, expected true"),
        ("languages: {tur_Latn: {romanizers: stub}}", "the nearest known key is 'romanizer'"),
    ],
)
def test_romanizers_that_there_are_not(tmp_path, content, sentence):
    with pytest.raises(UserError) as error:
        load(tmp_path, content + ("" if content.startswith("lang") else "\nlanguages: {tur_Latn: }"))
    assert str(error.value).startswith(f"{tmp_path}/g.yaml: ")
    assert sentence in str(error.value)


def test_each_language_has_its_own(run):
    made = run(
        "out", {"zho_Hani": {"romanizer": "doubling"}, "ell_Grek": {"romanizer": {"name": "stub"}}, "tur_Latn": {}}
    )
    double = Doubling().romanize
    assert rows(made / "pairs/zho_Hani.latn") == [double(line, None) for line in ZHO]
    assert rows(made / "pairs/ell_Grek.latn") == [STUB(line, None) for line in CORPUS["ell_Grek"]]
    manifest = manifest_of(made)
    names = {lang: entry["romanizer"]["name"] for lang, entry in manifest["languages"].items()}
    assert names == {"zho_Hani": "doubling", "ell_Grek": "stub", "tur_Latn": "stub"}
    assert {"stub": "1", "doubling": "2 of them"}.items() <= manifest["tools"].items()
    assert "further_pairs" not in json.dumps(manifest)
    # as without a romanizer of its own
    plain = run("plain", {"ell_Grek": {}, "tur_Latn": {}})
    ours, others = tree(made), tree(plain)
    for name in others:
        if name.endswith((".latn", ".orig", ".bin", ".idx", ".npy")):
            assert ours[name] == others[name]


def test_two_romanizers_make_two_pairs_of_a_line(run, ppa):
    made = run("out", {"zho_Hani": {"romanizer": ["stub", "doubling"]}, "ell_Grek": {}})
    orig, latn = (rows(made / f"pairs/zho_Hani.{side}") for side in ("orig", "latn"))
    assert orig == ZHO * 2
    assert latn[:LINES] == ["" if UNDIGESTIBLE in line else STUB(line, None) for line in ZHO]
    assert latn[LINES:] == [Doubling().romanize(line, None) for line in ZHO]
    assert "romanize  zho_Hani  180 lines by stub and doubling -> " in ppa.out
    manifest = manifest_of(made)
    entry = manifest["languages"]["zho_Hani"]
    assert [each["name"] for each in entry["romanizer"]] == ["stub", "doubling"]
    assert [each["version"] for each in entry["romanizer"]] == ["1", "2 of them"]
    assert (entry["read"], entry["further_pairs"]) == (LINES, LINES)
    assert entry["dropped"] == {
        "romanizer raised AttributeError": 1,  # of the stub alone: the other one's pair stays
        "romanization is that of stub": 1,
        "romanization is the original": 1,
        "text is in valid": 9,  # the other romanization of the ten for validation, but for `plain abc`
    }
    assert entry["kept"] == 2 * LINES - 12 == entry["train"] + entry["valid"]
    assert manifest["total"]["further_pairs"] == LINES
    assert manifest["total"]["read"] + LINES == manifest["total"]["kept"] + manifest["total"]["dropped"]
    assert ppa("verify", "--output", made) == 0
    header, chinese, greek, total = ppa.out.splitlines()[:4]
    assert "further pairs" in header
    assert [line.split()[2] for line in (chinese, greek, total)] == ["90", "0", "90"]


def test_records_name_the_line_of_the_text_and_the_romanizer(run):
    made = run("out", {"zho_Hani": {"romanizer": ["stub", "doubling"]}})
    records = [json.loads(line) for line in rows(made / "dropped.jsonl")]
    for record in records:
        assert record["text"] == ZHO[record["line"] - 1]
    place = {record["reason"]: (record["line"], record["romanizer"]) for record in records}
    assert place["romanizer raised AttributeError"] == (6, "stub")
    assert place["romanization is that of stub"] == (7, "doubling")
    assert place["romanization is the original"] == (9, "doubling")
    in_valid = [record for record in records if record["reason"] == "text is in valid"]
    assert {record["line"] - 1 for record in in_valid} == {*chosen(made, "zho_Hani")["valid"]} - {6}
    assert {record["romanizer"] for record in in_valid} == {"doubling"}


def test_records_of_doubtful_lines_name_the_romanizer(run, monkeypatch):
    class Rescuing(StubRomanizer):
        def rescue(self, text, lang):
            return STUB(text.replace(UNDIGESTIBLE, "???"), lang)

    monkeypatch.setitem(romanizers.ROMANIZERS, "rescuing", Rescuing)
    made = run("out", {"zho_Hani": {"romanizer": ["doubling", "rescuing"]}})
    (record,) = map(json.loads, rows(made / "in_doubt.jsonl"))
    assert (record["line"], record["romanizer"], record["text"]) == (6, "rescuing", ZHO[5])
    romanizer = manifest_of(made)["languages"]["zho_Hani"]["romanizer"]
    assert [(each["name"], each["rescued"]) for each in romanizer] == [("doubling", 0), ("rescuing", 1)]


class Telling(StubRomanizer):
    """Writes which code it was given, and is given the line with its punctuation normalized or as it is."""

    version = "5"

    def romanize(self, line, lang):
        return f"{lang} {STUB(line.replace(UNDIGESTIBLE, '?'), lang)}"


def test_evaluation_romanizes_as_the_manifest_says_that_training_did(run, tmp_path, monkeypatch):
    """By the first romanizer of each language, with its code and its punctuation: the very lines of pairs/."""
    monkeypatch.setitem(romanizers.ROMANIZERS, "telling", Telling)
    languages = {
        "zho_Hani": {"romanizer": ["doubling", "stub"]},
        "ell_Grek": {"uroman": "ell", "romanizer": {"name": "telling", "normalize_punctuation": True}},
        "tur_Latn": {"uroman": "tur"},
    }
    greek = [f"«{line}» – …" for line in CORPUS["ell_Grek"]]
    write_corpus(tmp_path / "in", {"ell_Grek": greek})
    made = run("made", languages, romanizer="telling")
    trained = parse(str(made / "data-bin/shard00"))
    for lang in languages:
        text = greek if lang == "ell_Grek" else CORPUS[lang]
        read = typed_text.romanized(text, lang, trained.of(lang))
        assert read == rows(made / f"pairs/{lang}.latn")[: len(read)]
    assert rows(made / "pairs/tur_Latn.latn")[0].startswith("tur ")
    assert rows(made / "pairs/ell_Grek.latn")[0].startswith('ell "')
    assert typed_text.romanized(["x"], "", trained.of("eng_Latn")) == ["None x"]  # the group's, without a code
    named = parse("telling,zho_Hani=doubling")
    assert (named.of("zho_Hani"), named.of("eng_Latn")) == (trained.of("zho_Hani"), trained.of("eng_Latn"))


def test_validation_is_that_of_the_first_alone(run):
    """The pairs that are drawn without the second, and no text of theirs in training, on either side."""
    one, two = run("one", {"ell_Grek": {}}), run("two", {"ell_Grek": {"romanizer": ["stub", "doubling"]}})
    valid = chosen(one, "ell_Grek")["valid"]
    assert chosen(two, "ell_Grek")["valid"] == valid
    train = chosen(two, "ell_Grek")["train"]
    assert sorted(train) == sorted({*range(2 * LINES)} - {*valid} - {line + LINES for line in valid})
    assert train != sorted(train)  # of both, mixed
    for side in ("orig", "latn"):
        text = rows(two / f"pairs/ell_Grek.{side}")
        assert not {text[line] for line in valid} & {text[line] for line in train}
    for name, content in tree(one / "data-bin/shard00").items():
        if "/valid." in f"/{name}":
            assert tree(two / "data-bin/shard00")[name] == content


@pytest.mark.parametrize("binarizer", ["fairseq-preprocess", "direct"])
def test_again_with_others_it_is_as_made_afresh(run, ppa, binarizer):
    settings = {"binarizer": binarizer}
    several = {"zho_Hani": {"romanizer": ["stub", "doubling"]}, "ell_Grek": {}}
    used = run("used", {"zho_Hani": {}, "ell_Grek": {}}, **settings)
    before = tree(used)
    run("used", several, **settings)
    assert "romanize  ell_Grek  unchanged" in ppa.out
    assert "encode    ell_Grek  unchanged" in ppa.out
    assert tree(used) == tree(run("fresh", several, **settings)) != before
    run("used", several, **settings)
    assert ppa.out.count("unchanged") == 7
    run("used", {"zho_Hani": {"romanizer": ["doubling", "stub"]}, "ell_Grek": {}}, step="encode", code=2)
    assert "zho_Hani.latn was made with another romanizer (stub, doubling, now doubling, stub): run" in ppa.err
    run("used", {"zho_Hani": {}, "ell_Grek": {}}, **settings)
    assert tree(used) == before


def test_text_that_ends_without_a_line_end_and_begins_with_a_mark(run, tmp_path, ppa):
    languages = {"ell_Grek": {"romanizer": ["stub", "doubling"]}}
    text = "\n".join(CORPUS["ell_Grek"])
    (tmp_path / "out/text").mkdir(parents=True)
    (tmp_path / "out/text/ell_Grek.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    run("out", languages, step="romanize")
    assert rows(tmp_path / "out/pairs/ell_Grek.orig") == CORPUS["ell_Grek"] * 2
    run("out", languages, step="encode")
    assert f"encode    ell_Grek  {2 * LINES} pairs read" in ppa.out


def test_pairs_that_were_brought_along_are_of_no_romanizer(run, tmp_path, ppa):
    made = run("made", {"ell_Grek": {"romanizer": ["stub", "doubling"]}})
    shutil.copytree(made / "pairs", tmp_path / "out/pairs")
    run("out", {"ell_Grek": {"romanizer": ["stub", "doubling"]}}, step="encode")
    split = chosen(tmp_path / "out", "ell_Grek")
    assert len(split["valid"]) == 10  # of all, for nothing is known of them
    assert "romanizer" not in (tmp_path / "out/dropped.jsonl").read_text()


def test_a_romanizer_that_does_not_know_the_script_is_named(run, ppa, monkeypatch):
    class Deaf(StubRomanizer):
        def romanize(self, line, lang):
            return line

    monkeypatch.setitem(romanizers.ROMANIZERS, "deaf", Deaf)
    languages = {"ell_Grek": {"romanizer": ["stub", "deaf"]}, "tur_Latn": {"romanizer": "deaf"}}
    warning = (
        "100% of the letters that deaf wrote for ell_Grek are not Latin: it does not know this script, name another "
        "romanizer for the language"
    )
    for _ in range(2):
        made = run("out", languages)
        assert ppa.out.count(f"warning   {warning}\n") == 2  # by romanize, and by verify of the manifest
        assert "tur_Latn are not Latin" not in ppa.out
    entry = manifest_of(made)["languages"]["ell_Grek"]
    assert entry["warnings"][0] == warning
    assert entry["dropped"]["romanization is the original"] == LINES


@pytest.mark.parametrize("workers", [1, 2])
def test_one_file_with_a_romanizer(tmp_path, ppa, workers):
    corpus = write_corpus(tmp_path / "in", {"ell_Grek": CORPUS["ell_Grek"] * 10})
    arguments = ["romanize", "--input", corpus / "ell_Grek.txt", "--output", tmp_path / "latn", "--workers", workers]
    assert ppa(*arguments, "--romanizer", "doubling") == 0
    assert rows(tmp_path / "latn") == [Doubling().romanize(line, None) for line in CORPUS["ell_Grek"]] * 10
    (tmp_path / "latn").unlink()
    assert ppa(*arguments, "--romanizer", "yadda") == 2
    assert ppa.err.startswith("error: --romanizer is 'yadda', known are: uroman, ")
    assert not (tmp_path / "latn").exists()
    assert ppa("romanize", "--config", "g.yaml", "--output", tmp_path / "out", "--romanizer", "stub") == 2


def test_chinese_and_thai_by_their_own(tmp_path, ppa, spm):
    """The two that the tests have installed, in processes of their own, down to the shards."""
    chinese, thai = sentences("zho_Hani", 60), [f"เราต้องรู้ภาษาไทย {number} ปี" for number in range(60)]
    corpus = write_corpus(tmp_path / "in", {"zho_Hani": chinese, "tha_Thai": thai})
    (tmp_path / "g.yaml").write_text(
        "name: g\nshards: 1\nvalid_size: 5\n"
        "languages: {zho_Hani: {romanizer: pypinyin}, tha_Thai: {romanizer: {name: pythainlp}}}\n"
    )
    arguments = ["--config", tmp_path / "g.yaml", "--input", corpus, "--spm", spm, "--output", tmp_path / "out"]
    assert ppa("all", *arguments, "--workers", 2) == 0, ppa.err
    assert rows(tmp_path / "out/pairs/tha_Thai.latn")[7] == "rao tong ru phasathai 7 pi"
    latn = rows(tmp_path / "out/pairs/zho_Hani.latn")
    assert all(line.isascii() for line in latn)
    used = {word for line in latn for word in line.split()}
    assert {"tian", "di", "ren"} <= {syllable for word in used for syllable in word.split("'")}
    tools = manifest_of(tmp_path / "out")["tools"]
    assert tools["pypinyin"].startswith("pypinyin 0.")
    assert tools["pythainlp"].startswith("pythainlp ")
    assert "uroman" not in tools
