"""The quick start's corpus: what is held out stays unseen, the layout is SR-B's, a seed decides everything."""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "quickstart" / "corpus.py"
LANGUAGES = ("eng_Latn", "ell_Grek", "heb_Hebr", "tha_Thai", "zho_Hani", "yue_Hani")


@pytest.fixture(scope="module")
def corpus():
    spec = importlib.util.spec_from_file_location("quickstart_corpus", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(corpus):
    return corpus.build(LANGUAGES, seed=3, date_count=20, list_count=300)


def test_no_line_of_any_language_contains_a_held_out_name_of_any(built):
    training, queries = built
    for language, lines in training.items():
        text = "\n".join(lines).casefold()
        for other, names in queries.items():
            found = [name for name in names if name.casefold() in text]
            assert not found, f"{language} is trained on names held out of {other}: {found[:3]}"


def test_the_same_keys_are_held_out_everywhere(corpus, built):
    _, queries = built
    names = {language: corpus.read_names(language) for language in LANGUAGES}
    keys_of = {language: {name: key for key, name in table.items()} for language, table in names.items()}
    columns = [[keys_of[language][name] for name in queries[language]] for language in LANGUAGES]
    assert all(column == columns[0] for column in columns)
    present = set.intersection(*(set(table) for table in names.values()))
    assert len(columns[0]) == min(300, len(present) // 3)


def test_held_out_names_have_one_right_answer(built):
    _, queries = built
    for language, names in queries.items():
        assert len({name.casefold() for name in names}) == len(names), language


def test_every_kind_of_line_is_there(built):
    training, _ = built
    lines = set(training["eng_Latn"])
    assert {"Nigeria", "Monday", "5 kilometers", "1 minute"} <= lines
    assert any(" or " in line for line in lines)
    assert all(line == " ".join(line.split()) and line for line in lines)


def test_files_are_laid_out_as_sr_b(corpus, built, tmp_path):
    training, queries = built
    corpus.write(training, queries, tmp_path)
    assert {path.name for path in (tmp_path / "text").iterdir()} == {f"{language}.txt" for language in LANGUAGES}
    pairs = [language for language in LANGUAGES if language != "eng_Latn"]
    expected = {f"bible.{language}-eng_Latn.{side}" for language in pairs for side in (language, "eng_Latn")}
    assert {path.name for path in (tmp_path / "retrieval").iterdir()} == expected
    for language in pairs:
        stem = tmp_path / "retrieval" / f"bible.{language}-eng_Latn"
        assert Path(f"{stem}.{language}").read_text(encoding="utf-8").split("\n")[:-1] == queries[language]
        assert Path(f"{stem}.eng_Latn").read_text(encoding="utf-8").split("\n")[:-1] == queries["eng_Latn"]


def test_a_seed_decides_everything(corpus, built):
    assert corpus.build(LANGUAGES, seed=3, date_count=20, list_count=300) == built
    _, other = corpus.build(LANGUAGES[:2], seed=4, date_count=20, list_count=300)
    assert other != corpus.build(LANGUAGES[:2], seed=3, date_count=20, list_count=300)[1]


def test_a_name_inside_another_name_is_never_held_out(corpus, built):
    for language, names in built[1].items():
        every = "\n".join(corpus.read_names(language).values()).casefold()
        assert all(every.count(name.casefold()) == 1 for name in names), language
