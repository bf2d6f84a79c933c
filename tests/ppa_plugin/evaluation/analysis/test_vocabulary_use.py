"""`ppa-evaluate vocabulary`: its counts against SentencePiece's own, text against pairs made of it."""

import hashlib
import shutil
from collections import Counter

import pytest
import sentencepiece
from ppa_preprocess import cli as preprocess_cli
from running import exit_code

from ppa_plugin.evaluation import cli
from ppa_plugin.evaluation.analysis.records import read_analysis
from ppa_plugin.evaluation.analysis.vocabulary_use import Coverage, shared, unit_of

LANGUAGES = {"ell_Grek": 1, "heb_Hebr": 3, "tur_Latn": 0, "zho_Hani": 14}


def cover(model, output, *flags) -> int:
    return exit_code(cli.main, "vocabulary", "--model", model, "--output", output, "--workers", 1, *flags)


@pytest.fixture(scope="module")
def text(tmp_path_factory, sentences):
    """Four languages; Greek and Chinese have characters that the vocabulary lacks, Hebrew an empty line."""
    directory = tmp_path_factory.mktemp("text")
    more = {"ell_Grek": "ειρήνη 𓀀𓀁 πόλη 𓀂", "zho_Hani": "平安 龘。", "heb_Hebr": "", "tur_Latn": "city  of\u00a0peace"}
    for language, i in LANGUAGES.items():
        lines = [sentences[i], more[language], " ".join(sentences[i].split()[::-1])]
        (directory / f"{language}.txt").write_text("".join(f"{line}\n" for line in lines))
    (directory / "README.txt").write_text("not a language\n")
    return directory


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, text):
    """The same text as `ppa-preprocess` romanizes it."""
    directory = tmp_path_factory.mktemp("pairs")
    for language in LANGUAGES:
        source, latn = text / f"{language}.txt", directory / f"{language}.latn"
        assert exit_code(preprocess_cli.main, "romanize", "--input", source, "--output", latn, "--workers", 1) == 0
        shutil.copyfile(source, directory / f"{language}.orig")
    return directory


@pytest.fixture(scope="module")
def records(tiny_hf_directory, pairs, tmp_path_factory):
    output = tmp_path_factory.mktemp("records") / "analysis.jsonl"
    assert cover(tiny_hf_directory, output, "--pairs", pairs) == 0
    return read_analysis(output)


def plain(sentencepiece_path, path) -> Counter:
    """How often each piece occurs, by SentencePiece itself."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_path))
    return Counter(piece for line in path.read_text().split("\n") for piece in pieces.encode(line))


@pytest.mark.parametrize("side", ["orig", "latn"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_are_those_of_sentencepiece(records, sentencepiece_path, pairs, language, side):
    (entry,) = [e for e in records if (e["kind"], e.get("language"), e["side"]) == ("vocabulary", language, side)]
    counts = {name: plain(sentencepiece_path, pairs / f"{name}.{side}") for name in LANGUAGES}
    own = counts[language]
    unknown = 0  # SentencePiece's own number
    assert entry["tokens"] == own.total()
    assert entry["unknown_tokens"] == own[unknown]
    assert entry["covered"] == (own.total() - own[unknown]) / own.total()
    used = set(own) - {unknown}
    assert entry["distinct_tokens"] == len(used)
    elsewhere = set().union(*(set(counts[name]) for name in LANGUAGES if name != language))
    assert entry["shared"] == len(used & elsewhere) / len(used)
    content = (pairs / f"{language}.{side}").read_text()
    if language == "zho_Hani":
        assert entry["unit"] == "character"
        assert entry["words"] == sum(not c.isspace() for c in (pairs / f"{language}.orig").read_text())
    else:
        assert entry["unit"] == "word"
        assert entry["words"] == len(content.split())
    assert entry["tokens_per_word"] == entry["tokens"] / entry["words"]
    assert entry["data_sha256"] == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize("side", ["orig", "latn"])
def test_totals(records, sentencepiece_path, pairs, side):
    own = [e for e in records if e["side"] == side]
    total = own[0]["group"]
    assert all(e["group"] == total for e in own)
    everything = sum((plain(sentencepiece_path, pairs / f"{name}.{side}") for name in LANGUAGES), Counter())
    assert total["languages"] == sorted(LANGUAGES)
    assert total["distinct_tokens"] == len(set(everything) - {0})
    assert total["tokens"] == everything.total()
    assert total["covered"] == (everything.total() - everything[0]) / everything.total()
    assert total["shared"] == pytest.approx(sum(e["shared"] for e in own) / len(own))


def test_something_is_unknown_and_romanization_shares_more(records):
    """So that the tests above compare something."""
    by_side = {e["side"]: e["group"] for e in records}
    assert by_side["orig"]["unknown_tokens"] > 0
    assert by_side["latn"]["shared"] > by_side["orig"]["shared"]


def test_text_romanized_here_gives_the_same_as_pairs(tiny_hf_directory, text, records, tmp_path):
    output = tmp_path / "analysis.jsonl"
    assert cover(tiny_hf_directory, output, "--data", text, "--cache", tmp_path / "cache") == 0
    assert read_analysis(output) == records
    assert any((tmp_path / "cache").iterdir())


class Doubling:
    """Each letter twice: as no other romanizer writes."""

    version = "4"

    def romanize(self, line, lang):
        return "".join(f"{c}{c}" if c.isascii() and c.isalpha() else "oo" if c.isalpha() else c for c in line)


def test_each_language_has_its_own_romanizer(tiny_hf_directory, text, records, sentencepiece_path, tmp_path):
    output, name = tmp_path / "analysis.jsonl", f"{__name__}:Doubling"
    flags = ("--data", text, "--cache", tmp_path / "cache", "--romanizer", f"heb_Hebr={name}")
    assert cover(tiny_hf_directory, output, *flags) == 0
    found = read_analysis(output)
    said = f"heb_Hebr: {name} 4; others: uroman 1.3.1.1"
    assert {entry["romanizer"] for entry in found} == {said}  # of the run, which the shares are of
    assert all("romanizer" not in entry for entry in records)
    mine, theirs = ({(e["language"], e["side"]): e for e in of} for of in (found, records))
    changed = {key for key in mine if mine[key]["data_sha256"] != theirs[key]["data_sha256"]}
    assert changed == {("heb_Hebr", "latn")}
    latn = tmp_path / "latn"
    lines = (text / "heb_Hebr.txt").read_text().removesuffix("\n").split("\n")
    latn.write_text("".join(f"{Doubling().romanize(line, None)}\n" for line in lines))
    entry = mine["heb_Hebr", "latn"]
    assert entry["data_sha256"] == hashlib.sha256(latn.read_bytes()).hexdigest()
    assert entry["tokens"] == plain(sentencepiece_path, latn).total()


def test_languages_lines_and_the_table(tiny_hf_directory, text, sentencepiece_path, tmp_path, capsys):
    output = tmp_path / "analysis.jsonl"
    flags = ("--data", text, "--languages", "tur,cmn", "--lines", 1, "--name", "mine")
    assert cover(tiny_hf_directory, output, *flags) == 0
    found = read_analysis(output)
    assert [(e["kind"], e["model"], e["language"], e["side"]) for e in found] == [
        ("vocabulary", "mine", "tur_Latn", "orig"),
        ("vocabulary", "mine", "zho_Hani", "orig"),
        ("vocabulary", "mine", "tur_Latn", "latn"),
        ("vocabulary", "mine", "zho_Hani", "latn"),
    ]
    first = (text / "tur_Latn.txt").read_text().split("\n")[0]
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_path))
    assert found[0]["tokens"] == len(pieces.encode(first))
    assert found[0]["data_sha256"] == hashlib.sha256(f"{first}\n".encode()).hexdigest()
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("mine: 31")
    assert [line.split()[:2] for line in table[3:]] == [["tur_Latn", "word"], ["zho_Hani", "character"], ["all", "(2)"]]
    assert table[-1].split()[2:5] == ["–", *(f"{found[i]['group']['distinct_tokens']}" for i in (0, 2))]
    assert table[3].split()[2:4] == [str(found[0]["distinct_tokens"]), str(found[2]["distinct_tokens"])]


def test_a_line_longer_than_the_model_takes_is_counted_whole(tiny_hf_directory, tmp_path, capsys):
    for side in ("orig", "latn"):
        (tmp_path / f"tur_Latn.{side}").write_text("city " * 2000 + "\n")
    assert cover(tiny_hf_directory, tmp_path / "analysis.jsonl", "--pairs", tmp_path) == 0
    entry = read_analysis(tmp_path / "analysis.jsonl")[0]
    assert entry["words"] == 2000
    assert entry["tokens"] >= 2000
    assert entry["shared"] is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("unit", "languages"),
    [
        ("character", "tha_Thai zho_Hans bod_Tibt jpn_Jpan mya_Mymr khm_Khmr lao_Laoo"),
        ("word", "kor_Hang amh_Ethi tur_Latn arb_Arab hin_Deva"),
    ],
)
def test_unit_is_decided_by_script(unit, languages):
    assert {unit_of(language) for language in languages.split()} == {unit}


def test_shared_where_nothing_is_covered():
    nothing = Coverage("a_Latn", "orig", unknown=3, counts=Counter({3: 7}))
    something = Coverage("b_Latn", "orig", unknown=3, counts=Counter({3: 1, 5: 1}))
    assert shared([nothing, something]) == {"a_Latn": None, "b_Latn": 0.0}


def spoil_nothing(directory):
    pass


def without_latn(directory):
    (directory / "ell_Grek.latn").unlink()


def longer(side):
    def spoil(directory):
        with open(directory / f"ell_Grek.{side}", "a") as handle:
            handle.write("one more\n")

    return spoil


def emptied(directory):
    for side in ("orig", "latn"):
        (directory / f"ell_Grek.{side}").write_text("\n \n")


def two_of_one(directory):
    for side in ("orig", "latn"):
        shutil.copyfile(directory / f"ell_Grek.{side}", directory / f"ell.{side}")


def no_files(directory):
    for path in list(directory.iterdir()):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "flags", "says"),
    [
        (spoil_nothing, ("--languages", "kor_Hang"), "has no text in kor_Hang; found: ell_Grek, heb_Hebr, "),
        (spoil_nothing, ("--languages", "greek"), "'greek' is not a language code"),
        (without_latn, (), "ell_Grek.latn is missing; line i of it has to be the romanization"),
        (longer("orig"), (), "ell_Grek.latn has to be the romanization of line i of "),
        (longer("latn"), (), "ell_Grek.latn has to be the romanization of line i of "),
        (emptied, (), "the orig side of ell_Grek holds no text"),
        (two_of_one, (), "are both ell_Grek; keep one of them"),
        (no_files, (), "holds no file <lang>.orig, such as tur_Latn.orig"),
        (shutil.rmtree, (), "is not a directory"),
    ],
)
def test_bad_text_is_one_sentence_and_writes_nothing(tiny_hf_directory, pairs, tmp_path, capsys, spoil, flags, says):
    copy = shutil.copytree(pairs, tmp_path / "copy")
    spoil(copy)
    assert cover(tiny_hf_directory, tmp_path / "analysis.jsonl", "--pairs", copy, *flags) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert says in error
    assert "\n" not in error
    assert not (tmp_path / "analysis.jsonl").exists()


@pytest.mark.parametrize(
    ("missing", "says"),
    [("sentencepiece.bpe.model", "holds no tokenizer"), ("model.safetensors", "holds no weights")],
)
def test_bad_models_are_one_sentence(tiny_hf_directory, pairs, tmp_path, capsys, missing, says):
    copy = shutil.copytree(tiny_hf_directory, tmp_path / "copy")
    (copy / missing).unlink()
    assert cover(copy, tmp_path / "analysis.jsonl", "--pairs", pairs) == 2
    assert says in capsys.readouterr().err


def test_lines_that_the_romanizer_fails_on_are_left_out_and_said(
    tiny_hf_directory, text, tmp_path, capsys, monkeypatch
):
    from ppa_plugin.evaluation.analysis import romanized_text

    def failing(lines, settings, workers):
        failed = ("", "romanizer raised OSError")
        return [(line, *(failed if i == 1 else ("city", None))) for i, line in enumerate(lines)]

    monkeypatch.setattr(romanized_text, "romanize_lines", failing)
    flags = ("--data", text, "--languages", "ell_Grek")
    assert cover(tiny_hf_directory, tmp_path / "analysis.jsonl", *flags) == 0
    assert "ell_Grek.txt: the romanizer failed on 1 lines" in capsys.readouterr().err
    orig, latn = read_analysis(tmp_path / "analysis.jsonl")
    assert orig["unknown_tokens"] == 0  # the line with hieroglyphs is the second
    assert latn["words"] == 2
