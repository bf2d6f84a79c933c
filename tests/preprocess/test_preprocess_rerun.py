"""One output directory, one setting changed: what lies there is what a fresh run gives, and nothing is left over."""

import json
import os
from pathlib import Path

import pytest
import sentencepiece
import yaml
from made_up_text import StubRomanizer, sentences, tree, write_corpus

from ppa_plugin.convert.extension.new_pieces import find_files
from ppa_plugin.evaluation.analysis.romanized_text import PairFiles, TextFiles
from ppa_plugin.romanization import romanizers
from ppa_plugin.romanization.by_language import Romanizers

TEXT = {lang: sentences(lang, 60) for lang in ("tur_Latn", "ell_Grek", "zho_Hani")}
GROUP = {
    "name": "made_up",
    "shards": 3,
    "valid_size": 4,
    "romanizer": {"name": "stub"},
    "binarizer": "direct",
    "sampling": {"share": 0.5, "min_lines": 40},
    "languages": {"tur_Latn": {"uroman": None}, "ell_Grek": {"uroman": None}},
}


class Capitals(StubRomanizer):
    """Another romanizer than the stub, and another one for each code."""

    def romanize(self, line: str, lang: str | None) -> str:
        return super().romanize(line, lang).upper() + (lang or "")


def languages(**options) -> dict:
    return {"languages": GROUP["languages"] | options}


CHANGES = {
    "name": {"name": "other"},
    "alignment": {"alignment": True},
    "fewer shards": {"shards": 1},
    "more shards": {"shards": 4},
    "valid_size": {"valid_size": 0},
    "seed": {"seed": 2},
    "max_tokens": {"max_tokens": 8},
    "sampling.share": {"sampling": {"share": 0.9, "min_lines": 40}},
    "sampling.min_lines": {"sampling": {"share": 0.5, "min_lines": 50}},
    "filters.deduplicate": {"filters": {"deduplicate": True}},
    "filters.min_chars": {"filters": {"min_chars": 20}},
    "filters.max_chars": {"filters": {"max_chars": 40}},
    "filters.script_share": {"filters": {"script_share": 0.5}},
    "a language less": {"languages": {"tur_Latn": {"uroman": None}}},
    "a language more": languages(zho_Hani={"uroman": None}),
    "another language": {"languages": {"tur_Latn": {"uroman": None}, "zho_Hani": {"uroman": None}}},
    "the other order": {"languages": dict(reversed(GROUP["languages"].items()))},
    "sources": languages(ell_Grek={"sources": ["zho_Hani"]}),
    "more sources": languages(ell_Grek={"sources": ["zho_Hani", "ell_Grek"]}),
    "a code for the romanizer": languages(ell_Grek={"uroman": "ell"}),
    "romanizer.name": {"romanizer": {"name": "capitals"}},
    "romanizer.normalize_punctuation": {"romanizer": {"name": "stub", "normalize_punctuation": True}},
    "romanizers": {"romanizer": ["stub", "capitals"]},
    "a romanizer of a language": languages(ell_Grek={"romanizer": "capitals"}),
    "romanizers of a language": languages(ell_Grek={"romanizer": ["capitals", {"name": "stub", "rescue": False}]}),
    "binarizer": {"binarizer": "fairseq-preprocess"},
}


@pytest.fixture(autouse=True)
def capitals(monkeypatch) -> None:
    monkeypatch.setitem(romanizers.ROMANIZERS, "capitals", Capitals)


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """As JSON lines of two columns of text."""
    folder = tmp_path_factory.mktemp("in")
    for lang, lines in TEXT.items():
        records = [{"text": line, "other": f"{line} {line}"} for line in lines]
        (folder / f"{lang}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture
def run(tmp_path, text, spm, ppa):
    def steps(output: str, change: dict, *flags, step="all", model=spm, code=0) -> Path:
        group = tmp_path / "group.yaml"
        group.write_text(yaml.safe_dump(GROUP | change, sort_keys=False))
        arguments = ["--config", group, "--output", tmp_path / output, "--workers", 1]
        arguments += ["--input", text] if step in ("all", "sample") else []
        arguments += ["--spm", model] if step in ("all", "encode", "binarize") else []
        assert ppa(step, *arguments, *flags) == code, ppa.err
        return tmp_path / output

    return steps


def everything(output: Path) -> dict[str, bytes]:
    """Every file by its bytes, every directory."""
    return tree(output) | {f"{path.relative_to(output)}/": b"" for path in output.rglob("*") if path.is_dir()}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_setting_gives_what_a_fresh_run_gives(run, change):
    used = run("used", {})
    before = everything(used)
    assert everything(run("used", CHANGES[change])) == everything(run("fresh", CHANGES[change])) != before
    assert everything(run("used", {})) == before


def test_a_changed_column_gives_what_a_fresh_run_gives(run):
    used = run("used", {})
    before = everything(used)
    other = ["--text-column", "other"]
    assert everything(run("used", {}, *other)) == everything(run("fresh", {}, *other)) != before


def test_a_changed_sentencepiece_model_gives_what_a_fresh_run_gives(run, tmp_path):
    (tmp_path / "text").write_text("\n".join(TEXT["ell_Grek"]), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "other"), vocab_size=60, minloglevel=2
    )
    before = everything(run("used", {}))
    model = tmp_path / "other.model"
    assert everything(run("used", {}, model=model)) == everything(run("fresh", {}, model=model)) != before


def test_what_is_not_of_our_making_stays_and_is_named(run, ppa):
    """A language is taken out whose text was changed by hand; the user has notes beside everything."""
    used = run("used", {})
    changed = used / "text/ell_Grek.txt"
    changed.write_text("changed by hand\n", encoding="utf-8")
    for folder in ("", "text", "pairs", "encoded", "data-bin"):
        (used / folder / "notes").write_text("mine")
    run("used", CHANGES["another language"])
    assert f"warning   {changed} is of no language of this group, but was changed by hand: it is left\n" in ppa.out
    assert changed.read_text(encoding="utf-8") == "changed by hand\n"
    fresh = everything(run("fresh", CHANGES["another language"]))
    used_files = everything(used)
    assert {path for path in used_files if path not in fresh} == {
        *("text/ell_Grek.txt", "notes", "text/notes", "pairs/notes", "encoded/notes", "data-bin/notes")
    }
    assert fresh.items() <= used_files.items()


@pytest.mark.parametrize("folder", ["data-bin/shard02", "data-bin/shard02/ell_Grek", "data-bin/shard00/ell_Grek"])
def test_what_lies_in_a_shard_that_is_no_more_stays_and_is_named(run, ppa, folder):
    used = run("used", {})
    notes = used / folder / "notes"
    notes.write_text("mine")
    run("used", CHANGES["another language"] | {"shards": 1}, code=2)
    assert notes.read_text() == "mine"
    assert ppa.err == f"error: {notes} is not in the manifest, and training may read it; remove it\n"
    notes.unlink()
    change = CHANGES["another language"] | {"shards": 1}
    assert everything(run("used", change)) == everything(run("fresh", change))


@pytest.mark.parametrize(("folder", "change"), [("encoded", {"max_tokens": 9}), ("data-bin/shard00", {"shards": 2})])
def test_what_lies_where_a_directory_is_made_anew_is_in_the_way(run, ppa, folder, change):
    notes = run("used", {}) / folder / "ell_Grek/notes"
    notes.write_text("mine")
    run("used", change, code=2)
    assert ppa.err == f"error: {notes} is in the way: {notes.parent} is made anew; move it elsewhere\n"
    assert notes.read_text() == "mine"


@pytest.mark.parametrize("kind", ["empty directory", "empty shard"])
def test_verify_names_an_empty_shard_of_an_earlier_version(run, ppa, kind):
    used = run("used", {})
    stray = used / ("data-bin/shard03" if kind == "empty shard" else "data-bin/shard01/zho_Hani")
    stray.mkdir()
    assert ppa("verify", "--output", used) == 2
    assert ppa.err == f"error: {stray} is not in the manifest, and training may read it; remove it\n"
    run("used", {})  # which `binarize` clears away
    assert not stray.exists()


@pytest.mark.parametrize(
    ("change", "step", "sentence"),
    [
        ({"seed": 2}, "romanize", "text/tur_Latn.txt was drawn with other settings (seed: 1, now 2): run `ppa-prep"),
        (CHANGES["sampling.share"], "romanize", "was drawn with other settings (share: 0.5, now 0.9)"),
        (CHANGES["filters.min_chars"], "romanize", "was drawn with other settings (filters: "),
        (CHANGES["romanizer.name"], "encode", "was made with another romanizer (stub, now capitals): run `ppa-prep"),
        (CHANGES["a code for the romanizer"], "encode", "ell_Grek.latn was made with another code (None, now ell)"),
        ({"max_tokens": 9}, "binarize", "was made from other pairs, settings or --spm"),
    ],
)
def test_a_step_alone_does_not_take_what_other_settings_made(run, ppa, change, step, sentence):
    used = run("used", {})
    before = everything(used)
    run("used", change, step=step, code=2)
    assert sentence in ppa.err
    assert ppa.err.count("\n") == 1
    assert everything(used) == before


def test_pairs_of_another_text_are_not_encoded(run, ppa):
    run("used", {})
    run("used", {"seed": 2}, step="sample")
    run("used", {"seed": 2}, step="encode", code=2)
    assert "pairs/tur_Latn.latn was romanized from what" in ppa.err


def left_over(used: Path, languages: dict) -> None:
    """What an earlier version left: the manifest is of fewer languages than `text/` and `pairs/`."""
    manifest = json.loads((used / "data-bin/manifest.json").read_text(encoding="utf-8"))
    manifest["languages"] = {lang: manifest["languages"][lang] for lang in languages}
    (used / "data-bin/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_text_of_a_language_that_was_taken_out_is_not_learned_from(run, capfd):
    """`ppa-convert extend --text`, `ppa-evaluate vocabulary --pairs` and `--data`."""
    used = run("used", {})
    assert find_files([used / "pairs"]) == [used / f"pairs/{lang}.latn" for lang in ("ell_Grek", "tur_Latn")]
    left_over(used, ["tur_Latn"])
    capfd.readouterr()
    assert find_files([used / "pairs"]) == [used / "pairs/tur_Latn.latn"]
    assert find_files([used / "text"]) == [used / "text/tur_Latn.txt"]
    said = capfd.readouterr().err
    assert f"note: passed over {used}/pairs/ell_Grek.latn: of no language in data-bin/manifest.json" in said
    assert PairFiles(used / "pairs").languages == ["tur_Latn"]
    assert TextFiles(used / "text", 1, None, Romanizers()).languages == ["tur_Latn"]
    assert f"passed over {used}/pairs/ell_Grek.orig" in capfd.readouterr().err
    # named itself, or written since
    assert find_files([used / "pairs/ell_Grek.latn"]) == [used / "pairs/ell_Grek.latn"]
    os.utime(used / "pairs/ell_Grek.orig")
    assert PairFiles(used / "pairs").languages == ["ell_Grek", "tur_Latn"]


@pytest.mark.parametrize("manifest", ["", "{", "[" * 100_000, "[]", "{}", '{"languages": 3}', None])
def test_where_a_manifest_says_nothing_all_text_is_taken(tmp_path, manifest):
    write_corpus(tmp_path / "text", {"ell_Grek": ["α"]})
    if manifest is not None:
        (tmp_path / "data-bin").mkdir()
        (tmp_path / "data-bin/manifest.json").write_text(manifest)
    assert find_files([tmp_path / "text"]) == [tmp_path / "text/ell_Grek.txt"]


@pytest.mark.parametrize("state", ["", "{", "[" * 100_000, "[]", '{"sample x": 3}', '{"x": {"inputs": {}}}', None])
def test_a_record_of_anyones_making_is_one_sentence(run, ppa, tmp_path, state):
    path = tmp_path / "out/.ppa-state/state.json"
    path.parent.mkdir(parents=True)
    os.mkfifo(path) if state is None else path.write_text(state)
    run("out", {}, code=2)
    assert ppa.err == f"error: {path} cannot be read; delete it and every step is made again\n"


@pytest.mark.parametrize("shards", [10**12, -1, "3", None])
def test_a_number_of_shards_that_is_only_claimed(run, ppa, shards):
    used = run("used", {})
    path = used / "data-bin/manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["group"]["shards"] = shards
    path.write_text(json.dumps(manifest))
    assert ppa("verify", "--output", used) == 2
    assert ppa.err == f"error: {used / 'data-bin'} holds 3 shards, the manifest says {shards}\n"


@pytest.mark.parametrize("content", ["[" * 100_000, "{" * 100_000, None])
def test_a_manifest_of_anyones_making_is_one_sentence(tmp_path, ppa, content):
    path = tmp_path / "data-bin/manifest.json"
    path.parent.mkdir()
    os.mkfifo(path) if content is None else path.write_text(content)
    assert ppa("verify", "--output", tmp_path) == 2
    assert ppa.err.startswith(f"error: {path} is ")
    assert ppa.err.count("\n") == 1
