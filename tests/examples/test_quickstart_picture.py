"""The picture of README: how often names are found in another script, by whatever model."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

SOURCE = Path(__file__).parents[2] / "examples" / "quickstart" / "picture.py"
LANGUAGES = ("eng_Latn", "ell_Grek", "heb_Hebr")
NAMES = 20


@pytest.fixture(scope="module")
def picture():
    spec = importlib.util.spec_from_file_location("quickstart_picture", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(picture, tmp_path, monkeypatch):
    """A run whose base model tells scripts apart and nothing else, and whose aligned one names and nothing else."""

    class Encoder:
        def __init__(self, directory):
            self.column = {"base": 0, "mlm": 0, "aligned": 1}[directory.name]

        def encode(self, sentences):
            codes = torch.tensor([[LANGUAGES.index(s.split()[0]), int(s.split()[1])] for s in sentences])
            noise = torch.rand(len(codes), NAMES, generator=torch.Generator().manual_seed(0))
            return torch.nn.functional.one_hot(codes[:, self.column], NAMES) + 0.01 * noise

    monkeypatch.setattr(picture, "SentenceEncoder", Encoder)
    (tmp_path / "retrieval").mkdir()
    for language in LANGUAGES[1:]:
        for each in (language, "eng_Latn"):
            lines = "".join(f"{each} {number}\n" for number in range(NAMES))
            (tmp_path / "retrieval" / f"bible.{language}-eng_Latn.{each}").write_text(lines)
    return tmp_path


def vectors_of(picture, run, model):
    encoder = picture.SentenceEncoder(run / model)
    return [encoder.encode(each) for each in picture.read_names(run / "retrieval").values()]


def test_names_are_read_english_first(picture, run):
    names = picture.read_names(run / "retrieval")
    assert tuple(names) == LANGUAGES
    assert [len(each) for each in names.values()] == [NAMES] * 3


def test_names_are_found_by_vectors_of_names_alone(picture, run):
    base, aligned = (picture.found(vectors_of(picture, run, model)) for model in ("base", "aligned"))
    assert base.isnan().sum() == aligned.isnan().sum() == 3
    assert aligned.nanmean() == 100
    assert base.nanmean() < 80


def test_neighbours_among_all_are_those_of_the_same_script_or_name(picture, run):
    assert picture.among_their_own(vectors_of(picture, run, "base")) == 100
    assert picture.among_their_own(vectors_of(picture, run, "aligned")) < 50


def test_the_picture_is_drawn_twice_alike(picture, run, monkeypatch, capsys):
    drawn = []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["picture.py", "--run", str(run), "--output", str(run / "barrier.svg")])
        picture.main()
        drawn.append((run / "barrier.svg").read_bytes())
    assert drawn[0] == drawn[1]
    for words in ("Before alignment", "After: 100.0% found", "Hebrew"):
        assert words in drawn[0].decode()
    assert "aligned: 100.0% found in another script, 100.0% from English; " in capsys.readouterr().out
