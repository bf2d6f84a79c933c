"""Two models and data for suites, and a task that takes no time."""

import shutil

import pytest
import stub_cells
from suites import LANGUAGES

from ppa_plugin.evaluation.commands import suite
from ppa_plugin.evaluation.suite import suite_file, workers
from ppa_plugin.evaluation.tasks import CLASSIFICATION


@pytest.fixture
def stubs(monkeypatch):
    """Fine-tuning takes no time, and processes are forked: spawning one takes seconds."""
    monkeypatch.setitem(suite_file.KINDS, CLASSIFICATION, stub_cells.StubCells())
    monkeypatch.setattr(suite, "measure", stub_cells.measure_planned)
    monkeypatch.setattr(workers, "_START", "fork")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture
def place(tmp_path, tiny_hf_directory, sentences):
    """Two models with a tokenizer, Bible verses in four languages and labelled data in three."""
    for number, name in enumerate(("base", "aligned")):
        shutil.copytree(tiny_hf_directory, tmp_path / name)
        if number:
            weights = tmp_path / name / "model.safetensors"
            content = bytearray(weights.read_bytes())
            content[-3] ^= 0x40
            weights.write_bytes(content)
    for directory in ("bibles", "topics"):
        (tmp_path / directory).mkdir()
    for number, language in enumerate(LANGUAGES):
        lines = sentences[6 * number : 6 * number + 6]
        (tmp_path / "bibles" / f"bible.{language}-eng_Latn.{language}").write_text("\n".join(lines) + "\n")
        (tmp_path / "bibles" / f"bible.{language}-eng_Latn.eng_Latn").write_text("a\nb\nc\nd\ne\nf\n")
        (tmp_path / "topics" / f"{language}.txt").write_text(language)
    return tmp_path
