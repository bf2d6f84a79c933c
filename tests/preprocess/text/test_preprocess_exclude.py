"""`filters: {exclude: [...]}`: lines of evaluation data leave the corpus, counted by what they are in."""

import json

import pytest
from made_up_text import StubRomanizer, sentences, tree, write_corpus, write_group

LANG = "ell_Grek"
LONG = "αβ γδ εζ ηθ ικ λμ νξ οπ"
CORPUS = sentences(LANG, 120)


@pytest.fixture
def place(tmp_path):
    """A corpus with lines of two evaluation sets, one of them inside another line, and the sets beside the group."""
    write_corpus(tmp_path / "in", {LANG: [*CORPUS, f"ρσ {LONG.upper()}, τυ", "Χαίρε!", "χαιρε και αλλα"]})
    for name, lines in {
        "eval/bible.ell_Grek-eng_Latn.ell_Grek": [LONG, CORPUS[3].upper(), "..."],
        "eval/bible.ell_Grek-eng_Latn.eng_Latn": ["one", "two", "three"],
        "eval/notes.md": [CORPUS[7]],
        "more.txt": ["χαίρε", CORPUS[3], CORPUS[4]],
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def run(ppa, place, step, exclude, *more, **settings):
    group = write_group(place / "g.yaml", [LANG], filters=f"{{exclude: {json.dumps(exclude)}}}", **settings)
    return ppa(step, "--config", group, "--input", place / "in", "--output", place / "out", *more)


def test_lines_are_left_out_and_counted_by_set(place, ppa, spm):
    assert run(ppa, place, "all", ["eval", "more.txt"], "--spm", spm) == 0
    text = (place / "out/text/ell_Grek.txt").read_text(encoding="utf-8").split("\n")
    assert text == [*CORPUS[:3], *CORPUS[5:], "χαιρε και αλλα", ""]
    assert "123 lines read from ell_Grek.txt, 4 filtered out (2 in eval, 2 in more.txt), 119 taken" in ppa.out
    manifest = json.loads((place / "out/data-bin/manifest.json").read_text())
    assert manifest["languages"][LANG]["filtered"] == {"in eval": 2, "in more.txt": 2}
    assert manifest["group"]["filters"]["exclude"] == ["eval", "more.txt"]
    assert str(place) not in (place / "out/data-bin/manifest.json").read_text()


def test_of_two_sets_the_first_named_counts(place, ppa):
    assert run(ppa, place, "sample", ["more.txt", "eval"]) == 0
    assert "4 filtered out (3 in more.txt, 1 in eval)" in ppa.out


def test_a_home_is_found_as_in_a_shell(place, ppa, monkeypatch):
    monkeypatch.setenv("HOME", str(place / "eval"))
    assert run(ppa, place, "sample", ["~/../more.txt"]) == 0
    assert "3 filtered out (3 in ~/../more.txt)" in ppa.out


def test_a_dry_run_counts_them_too(place, ppa):
    assert run(ppa, place, "sample", ["eval", "more.txt"], "--dry-run") == 0
    assert [line for line in ppa.out.splitlines() if line.startswith("filtered")] == [
        "filtered  ell_Grek: 2 lines in eval",
        "filtered  ell_Grek: 2 lines in more.txt",
    ]
    assert not (place / "out").exists()


def test_a_corpus_of_nothing_else_is_an_error(place, ppa):
    write_corpus(place / "in", {LANG: [LONG, CORPUS[4]]})
    assert run(ppa, place, "sample", ["eval", "more.txt"]) == 2
    assert "none of the 2 lines of ell_Grek passes the filters (1 in eval, 1 in more.txt)" in ppa.err


def test_a_pair_is_dropped_whose_romanization_is_a_line(place, ppa, spm):
    romanized = [StubRomanizer().romanize(CORPUS[line], None) for line in (10, 20)]
    (place / "latin.txt").write_text("".join(f"{line.upper()}!\n" for line in romanized))
    assert run(ppa, place, "all", ["more.txt", "latin.txt"], "--spm", spm) == 0
    manifest = json.loads((place / "out/data-bin/manifest.json").read_text())
    language = manifest["languages"][LANG]
    assert language["filtered"] == {"in more.txt": 3}
    assert language["dropped"] == {"romanization is in latin.txt": 2}
    records = [json.loads(line) for line in (place / "out/dropped.jsonl").read_text().splitlines()]
    assert [(record["reason"], record["text"]) for record in records] == [
        ("romanization is in latin.txt", CORPUS[line]) for line in (10, 20)
    ]
    assert ppa("verify", "--output", place / "out") == 0


def test_other_evaluation_data_draws_the_sample_again(place, ppa, spm):
    assert run(ppa, place, "all", ["more.txt"], "--spm", spm) == 0
    assert run(ppa, place, "all", ["more.txt"], "--spm", spm) == 0
    assert "sample    ell_Grek  unchanged" in ppa.out
    (place / "more.txt").write_text(CORPUS[5], encoding="utf-8")
    assert run(ppa, place, "romanize", ["more.txt"]) == 2
    assert "was drawn with other settings (excluded: " in ppa.err
    assert run(ppa, place, "all", ["more.txt"], "--spm", spm) == 0
    assert "1 filtered out (1 in more.txt)" in ppa.out
    assert ppa("all", *without_filters(place), "--spm", spm) == 0
    assert "123 taken" in ppa.out
    again = tree(place / "out/data-bin")
    assert ppa("all", *without_filters(place, "fresh"), "--spm", spm) == 0
    assert tree(place / "fresh/data-bin") == again


def test_without_it_no_longer_romanize_refuses_the_sample(place, ppa):
    assert run(ppa, place, "sample", ["more.txt"]) == 0
    config, _, output = (without_filters(place)[i : i + 2] for i in (0, 2, 4))
    assert ppa("romanize", *config, *output) == 2
    assert "was drawn with other settings (excluded: " in ppa.err


def without_filters(place, output="out") -> list:
    group = write_group(place / "g.yaml", [LANG])
    return ["--config", group, "--input", place / "in", "--output", place / output]


def test_what_holds_no_letters_is_an_error_before_anything_is_written(place, ppa):
    (place / "more.txt").write_text("...\n\n")
    assert run(ppa, place, "sample", ["eval", "more.txt"]) == 2
    assert ppa.err.startswith("error: filters.exclude: ") or "error: filters.exclude: " in ppa.err
    assert "more.txt holds no line with a letter or digit" in ppa.err
    assert not (place / "out").exists()
