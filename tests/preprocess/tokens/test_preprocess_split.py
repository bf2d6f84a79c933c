"""Validation shares no text with training, and text that the vocabulary does not know is no equal text."""

import json
import random
from collections import Counter

import numpy as np
import pytest
import sentencepiece
from made_up_text import StubRomanizer, sentences, write_corpus, write_group
from ppa_preprocess.encode import unknown_warnings

from ppa_plugin.data.shards import index_sizes

ARMENIAN = "աբգդեզըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ"
BINARIZERS = ["fairseq-preprocess", "direct"]


def strange_sentences(count: int) -> list[str]:
    """Different sentences of one or two words in a script that the fixture `spm` has no letter of."""
    chance = random.Random(1)
    lines = {" ".join("".join(chance.choices(ARMENIAN, k=7)) for _ in range(i % 2 + 1)): None for i in range(count)}
    assert len(lines) == count
    return list(lines)


def prepare(folder, ppa, spm, lines, *flags, lang="ell_Grek", **settings):
    """Run every step on one language; the manifest's entry of it, and its dropped pairs by line."""
    corpus = write_corpus(folder / "in", {lang: lines})
    settings = {"shards": 1, "valid_size": 20} | settings
    group = write_group(folder / "group.yaml", [lang], **settings)
    arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", folder / "out"]
    assert ppa("all", *arguments, *flags) == 0, ppa.err
    manifest = json.loads((folder / "out/data-bin/manifest.json").read_text(encoding="utf-8"))
    records = (folder / "out/dropped.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return manifest["languages"][lang], {(record := json.loads(line))["line"]: record for line in records}


def rows(folder, split, lang="ell_Grek") -> list[int]:
    """The lines of pairs/, from 1, of a split."""
    return (np.load(folder / "out/encoded" / lang / f"{split}.lines.npy") + 1).tolist()


@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_different_texts_of_unknown_characters_are_no_equal_texts(tmp_path, ppa, spm, binarizer):
    lines = strange_sentences(200)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    assert len({tuple(processor.encode(line)) for line in lines}) == 2
    # the romanized side is known, and differs in every line
    language, dropped = prepare(tmp_path, ppa, spm, lines, "--binarizer", binarizer)
    assert dropped == {}
    assert (language["train"], language["valid"], language["dropped"]) == (180, 20, {})


@pytest.mark.parametrize("binarizer", BINARIZERS)
@pytest.mark.parametrize("side", [strange_sentences(200), sentences("ell_Grek", 200)], ids=["unknown", "known"])
def test_a_text_that_is_in_valid_is_dropped_and_recorded(tmp_path, ppa, spm, side, binarizer):
    """Exactly the pairs whose line is that of a validation pair, whatever the white space around and in it."""
    again = [side[0], f"  {side[1]}", f"{side[2]} ", side[3].replace(" ", "  "), f"{side[4]}\r", f"\ufeff{side[5]}"]
    lines = [*side, *(again * 20)]
    _, dropped = prepare(tmp_path, ppa, spm, lines, "--binarizer", binarizer, "--workers", 2)
    valid, train = rows(tmp_path, "valid"), rows(tmp_path, "train")

    def text(number: int) -> str:
        return " ".join(lines[number - 1].replace("\ufeff", "").split())

    in_valid = {text(number) for number in valid}
    assert not in_valid & {text(number) for number in train}
    everything = set(range(1, len(lines) + 1))
    assert dropped.keys() == {number for number in everything - set(valid) if text(number) in in_valid}
    assert len(dropped) > 20
    assert {record["reason"] for record in dropped.values()} == {"text is in valid"}
    assert all(record["text"] == lines[number - 1].removesuffix("\r") for number, record in dropped.items())


def test_a_romanization_that_is_in_valid_is_dropped(tmp_path, ppa, spm):
    """Other originals, equal romanizations: either side counts."""
    originals = strange_sentences(100)
    others = [line.translate({ord(c): chr(ord(c) + 26 * 800) for c in ARMENIAN}) for line in originals]
    romanize = StubRomanizer().romanize
    assert [romanize(line, None) for line in originals] == [romanize(line, None) for line in others]
    _, dropped = prepare(tmp_path, ppa, spm, originals + others)
    valid = rows(tmp_path, "valid")
    assert dropped.keys() == {(n + 100 - 1) % 200 + 1 for n in valid} - set(valid)


def test_texts_are_compared_as_they_are_cut(tmp_path, ppa, spm):
    """Training reads the same of two long lines that differ behind the last token."""
    cut = strange_sentences(4)
    head = " ".join("ա" * 20)
    long = [f"{head} {line}" for line in cut * 30]
    _, dropped = prepare(tmp_path, ppa, spm, strange_sentences(100) + long, max_tokens=12)
    valid, train = rows(tmp_path, "valid"), rows(tmp_path, "train")
    assert max(valid) > 100
    assert max(train) <= 100
    assert dropped.keys() == set(range(101, 221)) - set(valid)


def test_what_another_rule_left_is_encoded_again(tmp_path, ppa, spm):
    lines = strange_sentences(100)
    prepare(tmp_path, ppa, spm, lines)
    state = tmp_path / "out/.ppa-state/state.json"
    tasks = json.loads(state.read_text())
    del tasks["encode ell_Grek"]["inputs"]["text_in_valid"]
    state.write_text(json.dumps(tasks))
    prepare(tmp_path, ppa, spm, lines)
    assert "sample    ell_Grek  unchanged" in ppa.out
    assert "encode    ell_Grek  100 pairs read" in ppa.out
    prepare(tmp_path, ppa, spm, lines)
    assert "encode    ell_Grek  unchanged" in ppa.out


@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_a_language_that_the_vocabulary_hardly_knows_is_named(tmp_path, ppa, spm, binarizer):
    """With its share, which is that of the tokens in the shards."""
    known, strange = sentences("ell_Grek", 150), strange_sentences(150)
    lines = [*known[:20], *strange, *(strange[:30] * 2)]
    language, dropped = prepare(tmp_path, ppa, spm, lines, "--binarizer", binarizer)
    assert dropped
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    kept = [lines[number - 1] for number in rows(tmp_path, "train") + rows(tmp_path, "valid")]
    ids = Counter(i for line in kept for i in processor.encode(line))
    share = ids[processor.unk_id()] / ids.total()
    assert language["unknown"] == {"orig": ids[processor.unk_id()], "latn": 0}
    assert language["unknown_share"] == {"orig": round(share, 4), "latn": 0.0}
    sizes = [index_sizes(path.with_suffix("")) for path in (tmp_path / "out/data-bin").glob("*/*/*.orig.idx")]
    assert sum(map(sum, sizes)) - len(kept) == ids.total()
    warning = f"{share:.0%} of the tokens of ell_Grek (orig) are unknown to this vocabulary: extend it (`ppa-convert "
    assert language["warnings"] == [f"{warning}extend --text pairs/ell_Grek.orig`) or leave the language out"]
    assert ppa.out.count(f"warning   {language['warnings'][0]}\n") == 2  # by encode, and at the end by verify
    group, output = tmp_path / "group.yaml", tmp_path / "out"
    assert ppa("encode", "--config", group, "--spm", spm, "--output", output, "--binarizer", binarizer) == 0
    assert f"unchanged\nwarning   {warning}" in ppa.out


def test_a_language_that_the_vocabulary_knows_is_not_named(tmp_path, ppa, spm):
    language, _ = prepare(tmp_path, ppa, spm, sentences("ell_Grek", 150))
    assert language["warnings"] == []
    assert "warning" not in ppa.out


@pytest.mark.parametrize(("unknown", "named"), [(20, False), (21, True)])
def test_more_than_a_fifth_is_much(unknown, named):
    tokens = {"train": {"orig": 90, "latn": 1000}, "valid": {"orig": 20, "latn": 1000}}
    counts = {"train": 8, "valid": 2, "tokens": tokens, "unknown": {"orig": unknown, "latn": 0}}
    assert bool(unknown_warnings("ell_Grek", counts)) == named


def test_a_manifest_without_shares_stays_readable(tmp_path, ppa, spm):
    prepare(tmp_path, ppa, spm, strange_sentences(50))
    path = tmp_path / "out/data-bin/manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for language in manifest["languages"].values():
        del language["warnings"], language["unknown_share"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert ppa("verify", "--output", tmp_path / "out") == 0
    assert "warning" not in ppa.out
