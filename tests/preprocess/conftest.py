"""A corpus of made-up text, a SentencePiece model of it, and `ppa-preprocess` to run on it."""

from pathlib import Path

import pytest
import sentencepiece
from made_up_text import ALPHABETS, UNDIGESTIBLE, StubRomanizer, sentences, write_corpus
from ppa_preprocess import cli
from running import exit_code

from ppa_plugin.romanization import romanizers


@pytest.fixture(scope="session")
def spm(tmp_path_factory) -> Path:
    """A small unigram model; it knows all of the made-up letters but no ideograph beyond them."""
    folder = tmp_path_factory.mktemp("sentencepiece")
    romanize = StubRomanizer().romanize
    lines = [line for lang in ALPHABETS for line in sentences(lang, 200)]
    (folder / "text").write_text("\n".join([*lines, *(romanize(line, None) for line in lines)]), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "made_up"),
        vocab_size=500,
        character_coverage=1.0,
        minloglevel=2,
    )
    return folder / "made_up.model"


@pytest.fixture(autouse=True)
def stub(monkeypatch) -> None:
    monkeypatch.setitem(romanizers.ROMANIZERS, "stub", StubRomanizer)


@pytest.fixture
def ppa(capfd):
    """Run `ppa-preprocess` in process; gives its exit code and, in `.out` and `.err`, what it printed."""

    class Command:
        out = err = ""

        def __call__(self, *arguments) -> int:
            code = exit_code(cli.main, *arguments)
            self.out, self.err = capfd.readouterr()
            return code

    return Command()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Three languages: ordinary lines, an empty one, undigestible ones, repeated ones."""
    lines = {lang: sentences(lang, 150) for lang in ("tur_Latn", "ell_Grek", "zho_Hani")}
    lines["zho_Hani"][7] = f"天地{UNDIGESTIBLE}山水"
    lines["ell_Grek"][3] = ""
    lines["tur_Latn"] += lines["tur_Latn"][:40]
    return write_corpus(tmp_path_factory.mktemp("corpus"), lines)
