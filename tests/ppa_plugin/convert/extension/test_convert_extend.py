"""`ppa-convert extend` as a user calls it: one directory that fits together, the old model in the new one."""

import json
import os
import re
import shutil

import pytest
import torch
from running import exit_code
from safetensors.torch import load_file, save_file

from ppa_plugin.convert import cli
from ppa_plugin.convert.extension import romanized_vocabulary
from ppa_plugin.data import vocabulary
from ppa_plugin.evaluation.encoder.loading import import_transformers
from ppa_plugin.model.architectures import TranslitXLMR, TranslitXLMRConfig
from ppa_plugin.model.checkpoint import load_fairseq

transformers = import_transformers()
COUNT = 50
EMBEDDING = "encoder.sentence_encoder.embed_tokens.weight"
BIAS = "encoder.lm_head.bias"


def convert(*arguments) -> int:
    return exit_code(cli.main, *arguments)


@pytest.fixture(scope="module")
def text(romanized_sentences, tmp_path_factory):
    """pairs/ of one language: the romanized side three times, and an original side that is not to be read."""
    directory = tmp_path_factory.mktemp("pairs")
    (directory / "mul_Zyyy.latn").write_text("\n".join(romanized_sentences * 3) + "\n", encoding="utf-8")
    (directory / "mul_Zyyy.orig").write_bytes(b"\xff")
    return directory


@pytest.fixture(scope="module")
def extended(tiny_hf_directory, text, tmp_path_factory):
    """The tiny model with more pieces: (fairseq directory, Hugging Face directory made of it)."""
    directory = tmp_path_factory.mktemp("extended")
    assert convert("extend", tiny_hf_directory, directory / "fairseq", "--text", text, "--pieces", COUNT) == 0
    assert convert("to-hf", directory / "fairseq" / "model.pt", directory / "hf") == 0
    return directory / "fairseq", directory / "hf"


@pytest.fixture
def old_vocabulary(tiny_hf_directory):
    return vocabulary.dictionary_entries(tiny_hf_directory / "sentencepiece.bpe.model")


def test_dictionary_is_the_old_one_then_new_pieces_then_mask(extended, old_vocabulary):
    dictionary = vocabulary.load_dictionary(extended[0] / "dict.txt")
    vocabulary.check_dictionary(dictionary, extended[0] / "sentencepiece.bpe.model")
    symbols = dictionary.symbols
    assert symbols[: -COUNT - 1] == [*vocabulary.SPECIALS, *old_vocabulary[:-1]]
    assert symbols[-1] == "<mask>"
    assert len(symbols) == len(old_vocabulary) + len(vocabulary.SPECIALS) + COUNT


def test_hugging_face_ids_are_sentencepiece_plus_one(extended, sentences, romanized_sentences):
    processor = vocabulary.load_sentencepiece(extended[0] / "sentencepiece.bpe.model")
    for directory in (extended[1], extended[0] / "hf"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        assert tokenizer.is_fast
        assert tokenizer.mask_token_id == len(tokenizer) - 1 == processor.get_piece_size() + 1
        used = set()
        for sentence in [*sentences, *romanized_sentences, "𓀀 unseen ☃", " two  spaces ", ""]:
            ids = [i + 1 if i else 3 for i in processor.encode(sentence)]
            assert tokenizer(sentence)["input_ids"] == [0, *ids, 2]
            used |= set(ids)
        new = range(len(tokenizer) - 1 - COUNT, len(tokenizer) - 1)
        assert len(used & set(new)) > COUNT / 2


def test_the_extended_model_computes_what_the_old_one_does(tiny_hf_model, extended):
    """Logits of old tokens for old tokens are the old ones; those of a new piece the mean of what it merges."""
    model = transformers.AutoModelForMaskedLM.from_pretrained(extended[1]).eval()
    old_size = tiny_hf_model.config.vocab_size
    assert model.config.vocab_size == old_size + COUNT
    ids = torch.tensor([[0, 5, 6, old_size - 1, 40, 2]])  # with <mask>, which is another id now
    moved = torch.where(ids == old_size - 1, ids + COUNT, ids)
    with torch.no_grad():
        before, after = tiny_hf_model(ids).logits, model(moved).logits
    torch.testing.assert_close(after[..., : old_size - 1], before[..., :-1])
    torch.testing.assert_close(after[..., -1], before[..., -1])
    processor = vocabulary.load_sentencepiece(extended[1] / "sentencepiece.bpe.model")
    rows = {processor.id_to_piece(i): i + 1 for i in range(3, old_size - 2)}
    checked = 0
    for row in range(old_size - 1, old_size - 1 + COUNT):
        piece = processor.id_to_piece(row - 1)
        if set(piece) <= set(rows) and not any(len(old) > 1 and old in piece for old in rows):  # one way to cut it
            mean = before[..., [rows[letter] for letter in piece]].mean(-1)
            torch.testing.assert_close(after[..., row], mean, rtol=1e-4, atol=1e-4)
            checked += 1
    assert checked > 5


def test_fairseq_and_hugging_face_compute_the_same(tiny_hf_model, extended, romanized_sentences):
    state = load_fairseq(extended[0] / "model.pt")["model"]
    dictionary = vocabulary.load_dictionary(extended[0] / "dict.txt")
    config = TranslitXLMRConfig(
        encoder_layers=3, encoder_embed_dim=16, encoder_ffn_embed_dim=24, encoder_attention_heads=2, max_positions=512
    )
    ours = TranslitXLMR(config, len(dictionary))
    ours.load_state_dict(state)
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(extended[1]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(extended[1])
    tokens = torch.tensor(tokenizer(romanized_sentences[0])["input_ids"])
    tokens[2] = tokenizer.mask_token_id
    everything = torch.arange(len(tokens))
    with torch.no_grad():
        output = ours.eval()(tokens, everything, everything[-1:].numpy() + 1, head_rows=everything)
        logits = output.head @ output.weight.T + output.bias
        torch.testing.assert_close(logits, theirs(tokens[None]).logits[0], rtol=1e-4, atol=1e-4)


def test_what_it_says(tiny_hf_directory, text, tmp_path, capsys):
    assert convert("extend", tiny_hf_directory, tmp_path / "out", "--text", text, "--pieces", COUNT) == 0
    printed = capsys.readouterr().out
    size = json.loads((tiny_hf_directory / "config.json").read_text())["vocab_size"]
    assert f"vocabulary {size} + {COUNT}" in printed
    assert f"first values: 0 by romanization, {COUNT} by merging" in printed
    before, after = (
        float(part.split()[0]) for part in printed.split("tokens per word of the text: ")[1].split(",")[:2]
    )
    assert float(after) < 0.75 * float(before)
    assert "--encoder-layers 3 --encoder-embed-dim 16" in printed


def test_a_fairseq_directory_is_extended_alike_and_twice(tiny_hf_directory, extended, text, tmp_path):
    assert convert("to-fairseq", tiny_hf_directory, tmp_path / "fairseq") == 0
    flags = ("--text", text, "--pieces")
    assert convert("extend", tmp_path / "fairseq", tmp_path / "once", *flags, COUNT) == 0
    expected, found = (load_fairseq(directory / "model.pt") for directory in (extended[0], tmp_path / "once"))
    assert found["hugging_face"] == expected["hugging_face"]
    assert found["model"].keys() == expected["model"].keys()
    assert all(torch.equal(found["model"][name], tensor) for name, tensor in expected["model"].items())
    names = ("dict.txt", "sentencepiece.bpe.model", "hf/config.json", "hf/tokenizer.json")
    assert all((tmp_path / "once" / name).read_bytes() == (extended[0] / name).read_bytes() for name in names)

    assert convert("extend", tmp_path / "once", tmp_path / "twice", *flags, 10) == 0
    assert convert("to-hf", tmp_path / "twice" / "model.pt", tmp_path / "hf") == 0
    card = (tmp_path / "hf" / "README.md").read_text()
    assert f"{tiny_hf_directory}, its vocabulary extended by {COUNT + 10} sub-words of romanized text" in card


def test_half_precision_stays(tiny_hf_directory, text, tmp_path):
    copy = shutil.copytree(tiny_hf_directory, tmp_path / "copy")
    state = {name: tensor.half() for name, tensor in load_file(copy / "model.safetensors").items()}
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    assert convert("to-fairseq", copy, tmp_path / "fairseq") == 0
    for source in (copy, tmp_path / "fairseq"):
        assert convert("extend", source, tmp_path / "out", "--text", text, "--pieces", 9, "--overwrite") == 0
        assert convert("to-hf", tmp_path / "out" / "model.pt", tmp_path / "hf", "--overwrite") == 0
        found = load_file(tmp_path / "hf" / "model.safetensors")
        assert {tensor.dtype for tensor in found.values()} == {torch.float16}


class TwoLetters:
    """A romanizer that knows two letters."""

    version, table = "1", {"ш": "sh", "ש": "sh"}

    def romanize(self, line: str, lang: str | None) -> str:
        return self.table.get(line, "?")


def test_romanized_pieces_begin_as_what_they_romanize(tiny_hf_directory, extended, text, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(romanized_vocabulary, "DEFAULT", f"{__name__}:TwoLetters")
    flags = ("--text", text, "--pieces", COUNT, "--init", "romanized")
    assert convert("extend", tiny_hf_directory, tmp_path / "out", *flags) == 0
    symbols = vocabulary.load_dictionary(tmp_path / "out" / "dict.txt").symbols
    assert f"first values: 1 by romanization, {COUNT - 1} by merging" in capsys.readouterr().out
    found, merged = (load_fairseq(directory / "model.pt")["model"] for directory in (tmp_path / "out", extended[0]))
    for name in (EMBEDDING, BIAS):
        expected = merged[name].clone()
        expected[symbols.index("sh")] = merged[name][[symbols.index(old) for old in TwoLetters.table]].mean(0)
        torch.testing.assert_close(found[name], expected)
        assert not torch.equal(expected, merged[name])


# pieces of the tiny vocabulary by their romanization, of which none is a piece
ROMANIZED = {"sh": ["ш", "ש", "ش", "შ"], "st": ["στ"], "ch": ["χ", "ח"], "▁e": ["▁ε"], "pyeong": ["평"]}


@pytest.mark.parametrize("merge", ["mean", "max"])
@pytest.mark.parametrize("to_fairseq", [False, True])
def test_romanizations_of_the_vocabulary_are_added_without_a_text(
    merge, to_fairseq, tiny_hf_directory, tiny_hf_model, old_vocabulary, tmp_path, capsys
):
    source = tiny_hf_directory
    if to_fairseq:
        source = tmp_path / "fairseq"
        assert convert("to-fairseq", tiny_hf_directory, source) == 0
    assert convert("extend", source, tmp_path / "out", "--init", merge) == 0
    assert convert("to-hf", tmp_path / "out" / "model.pt", tmp_path / "hf") == 0
    symbols = vocabulary.load_dictionary(tmp_path / "out" / "dict.txt").symbols
    old_size = tiny_hf_model.config.vocab_size
    count = len(symbols) - old_size
    assert f"vocabulary {old_size} + {count}\nromanizations of " in capsys.readouterr().out
    card = (tmp_path / "hf" / "README.md").read_text()
    assert f"extended by {count} sub-words of romanized text (TransMI, " in card
    assert f"merged by their {merge})\n" in card
    assert "own script or as uroman romanizes it." in card
    assert symbols[: -count - 1] == [*vocabulary.SPECIALS, *old_vocabulary[:-1]]
    assert symbols[-1] == "<mask>"
    processor = vocabulary.load_sentencepiece(tmp_path / "out" / "sentencepiece.bpe.model")
    model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hf").eval()
    ids = torch.tensor([[0, 5, 6, 40, 2]])
    with torch.no_grad():
        before, after = tiny_hf_model(ids).logits, model(ids).logits
    torch.testing.assert_close(after[..., : old_size - 1], before[..., :-1])
    torch.testing.assert_close(after[..., -1], before[..., -1])
    for piece, stand_for in ROMANIZED.items():
        new, rows = symbols.index(piece), [symbols.index(old) for old in stand_for]
        assert new >= old_size - 1
        scores = [processor.get_score(row - 1) for row in rows]
        score = sum(scores) / len(scores)
        if merge == "max":
            score = max(scores)
            rows = [min(row for row in rows if processor.get_score(row - 1) == score)]
        assert processor.get_score(new - 1) == pytest.approx(score)
        torch.testing.assert_close(after[..., new], before[..., rows].mean(-1), rtol=1e-4, atol=1e-4)


def test_romanizations_of_the_vocabulary_leave_text_in_other_scripts_as_it_is(
    tiny_hf_directory, sentences, romanized_sentences, tmp_path
):
    assert convert("extend", tiny_hf_directory, tmp_path / "out", "--init", "max") == 0
    before, after = (
        vocabulary.load_sentencepiece(directory / "sentencepiece.bpe.model")
        for directory in (tiny_hf_directory, tmp_path / "out")
    )
    others = sentences[1:]  # the first one is English
    assert len(others) >= 15
    assert after.encode(others) == before.encode(others)
    new = [i for ids in after.encode(romanized_sentences) for i in ids if i >= before.get_piece_size()]
    assert len(new) > 100
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out" / "hf")
    for sentence in sentences:
        assert tokenizer(sentence)["input_ids"] == [0, *(i + 1 if i else 3 for i in after.encode(sentence)), 2]
    for sentence in romanized_sentences:  # most letters of the tiny vocabulary have one score: of equals each takes one
        pieces, theirs = after.encode(sentence, out_type=str), tokenizer.tokenize(sentence)
        assert "".join(theirs) == "".join(pieces)
        totals = [sum(after.get_score(after.piece_to_id(piece)) for piece in way) for way in (pieces, theirs)]
        assert totals[0] == pytest.approx(totals[1], abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--init max --text a", "--init max adds .* takes no --text; leave it out, or pass --init merge|romanized for"),
        ("--init mean --pieces 5", "--init mean adds .* takes no --pieces; leave it out"),
        ("--init mean --lines 5", "--init mean adds .* takes no --lines; leave it out"),
        ("", "--init merge adds sub-words of a text: pass --text and --pieces, or --init mean|max for"),
        ("--text a", "--init merge adds sub-words of a text: pass --pieces, or"),
        ("--pieces 5 --init romanized", "--init romanized adds sub-words of a text: pass --text, or"),
    ],
)
def test_flags_that_do_not_go_together_are_said(flags, says, tmp_path, capsys):
    assert convert("extend", tmp_path / "model", tmp_path / "out", *flags.split()) == 2
    assert re.search(f"^error: {says}".replace("|", "[|]"), capsys.readouterr().err)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"--pieces": 100_000}, "--pieces 100000: the text has .* ask for fewer or give more text"),
        ({"--text": "nowhere"}, "--text nowhere does not exist"),
        ({"--text": "empty.txt"}, "--text .*empty.txt: no line of text"),
        ({"--text": "latin-1.txt"}, r"latin-1.txt, line 2: not valid UTF-8"),
        ({"model": "no-model"}, "no-model is not a directory|no-model is not a local directory"),
        ({"model": "no-pieces"}, "no SentencePiece model at .*no-pieces/sentencepiece.bpe.model"),
    ],
)
def test_bad_usage_is_one_sentence_and_leaves_nothing(
    flags, says, tiny_hf_directory, extended, text, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin-1.txt").write_bytes(b"good\nna\xefve\n")
    shutil.copytree(extended[0], tmp_path / "no-pieces")
    (tmp_path / "no-pieces" / "sentencepiece.bpe.model").unlink()
    before = sorted(os.listdir())
    flags = {"--pieces": COUNT, "--text": text, **flags}
    model = flags.pop("model", tiny_hf_directory)
    assert convert("extend", model, "out", *(part for flag in flags.items() for part in flag)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert re.search(says, lines[0]), lines[0]
    assert sorted(os.listdir()) == before


def test_nobody_elses_files_are_replaced(tiny_hf_directory, text, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    flags = ("--text", text, "--pieces", 5, "--overwrite")
    assert convert("extend", tiny_hf_directory, tmp_path / "out", *flags) == 2
    assert "notes.txt, which this command did not write" in capsys.readouterr().err
