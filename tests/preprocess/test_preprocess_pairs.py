"""What lands in the shards belongs together, whatever the text holds."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import sentencepiece
from fairseq.data.indexed_dataset import MMapIndexedDataset
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_up_text import ALPHABETS, UNDIGESTIBLE, StubRomanizer, seen, sentences, write_corpus, write_group
from ppa_preprocess import cli
from ppa_preprocess.tokens.line_encoder import LineEncoder
from running import exit_code
from source_files import as_text

from ppa_plugin.data.vocabulary import load_dictionary, write_dictionary
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.text_file import romanize_lines

MAX_TOKENS = 12
TROUBLE = [
    "<mask>",
    "</s>",
    "<s>",
    "<unk>",
    "<pad>",
    "<mask> α",
    "#fairseq:overwrite",
    "madeupword0000",
    "▁",
    "十",
    "ﷺ",
]
TROUBLE += ["\u2028", "a\u2028b", "a\u0085b", "\r", "a\rb", "\x0b", "\x1c", "\x00", "\ufeffx", "\u3000", "", " ", "\t"]
TROUBLE += ["\U0001f600 \U0001f600", UNDIGESTIBLE, f"山 {UNDIGESTIBLE} 水", "天地" * 30, "fi ﬁ Å Å ½"]
one_line = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)
known_text = st.text("".join(ALPHABETS.values()) + " 0123456789", max_size=25)
corpora = st.lists(st.one_of(st.sampled_from(TROUBLE), known_text, one_line), min_size=1, max_size=30)


def romanized(line: str) -> str:
    try:
        latn = StubRomanizer().romanize(line, None)
    except AttributeError:
        return ""
    return "" if "\n" in latn else latn


def read_pairs(data_bin: Path, split: str) -> list[tuple[tuple[int, ...], ...]]:
    pairs = []
    for shard in sorted(data_bin.glob("shard*/*")):
        if (shard / f"{split}.orig-latn.orig.idx").exists():
            sides = [MMapIndexedDataset(str(shard / f"{split}.orig-latn.{side}")) for side in ("orig", "latn")]
            assert len(sides[0]) == len(sides[1])
            pairs += [tuple(tuple(side[i].tolist()) for side in sides) for i in range(len(sides[0]))]
    return pairs


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=corpora, binarizer=st.sampled_from(["fairseq-preprocess", "direct"]))
@example(lines=TROUBLE, binarizer="fairseq-preprocess")
@example(lines=TROUBLE, binarizer="direct")
@example(lines=[":", ";"], binarizer="direct")
def test_every_line_is_a_pair_of_its_own_ids_or_a_record(spm, lines, binarizer):
    """Index = SentencePiece id + 1 (`<unk>` 3), sides of a pair from one line, every line in a shard or recorded."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spm))

    def indices(text: str) -> tuple[int, ...]:
        ids = processor.encode(text)[: MAX_TOKENS - 2]
        return (*(3 if i == processor.unk_id() else i + 1 for i in ids), 2)

    def spelled(text: str) -> str:
        return "".join(processor.encode(text, out_type=str)[: MAX_TOKENS - 2])

    lines = ["天地", *lines]  # one pair at least
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        corpus = write_corpus(folder / "in", {"zho_Hani": lines})
        group = write_group(folder / "g.yaml", ["zho_Hani"], shards=1, valid_size=2, max_tokens=MAX_TOKENS)
        arguments = ["--config", group, "--input", corpus, "--spm", spm, "--output", folder / "out"]
        code = exit_code(cli.main, "all", *arguments, "--workers", 1, "--binarizer", binarizer)
        train, valid = (read_pairs(folder / "out/data-bin", split) for split in ("train", "valid"))
        dropped = [json.loads(line) for line in (folder / "out/dropped.jsonl").read_bytes().split(b"\n") if line]
        lines = [line.removesuffix("\r") for line in lines if seen(line)]
        assert (folder / "out/pairs/zho_Hani.orig").read_bytes() == as_text(lines)
        latn = (folder / "out/pairs/zho_Hani.latn").read_bytes().decode().split("\n")
    left = len({spelled(line) for line in lines if len(indices(line)) > 1 and len(indices(romanized(line))) > 1})
    if code == 2:  # nothing but repetitions of the one validation pair
        assert left <= 2
        return
    assert code == 0
    assert latn == [*map(romanized, lines), ""]
    gone = {record["line"]: record for record in dropped}
    assert all(record["text"] == lines[number - 1] for number, record in gone.items())
    expected = [(indices(line), indices(romanized(line))) for n, line in enumerate(lines, 1) if n not in gone]
    assert Counter(train + valid) == Counter(expected)
    for number, line in enumerate(lines, 1):
        empty = len(indices(line)) == 1 or len(indices(romanized(line))) == 1
        assert empty == (number in gone and gone[number]["reason"] != "text is in valid")
    kept = [(line, romanized(line)) for n, line in enumerate(lines, 1) if n not in gone]
    for side in (0, 1):
        for row in {pair[side] for pair in train} & {pair[side] for pair in valid}:
            # <unk> alone does not make two texts one
            assert 3 in row
            assert len({spelled(pair[side]) for pair in kept if indices(pair[side]) == row}) > 1


def test_a_text_of_unknown_characters_is_not_taken_for_a_special(tmp_path):
    """To a model without Latin letters `<mask>` is one unknown piece, whose surface fairseq would look up."""
    (tmp_path / "text").write_text("\n".join(sentences("ell_Grek", 100)).translate(dict.fromkeys(range(48, 58))))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "greek"), vocab_size=70, minloglevel=2
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "greek.model"))
    write_dictionary(tmp_path / "greek.model", tmp_path / "dict.txt")
    dictionary, encoder = load_dictionary(tmp_path / "dict.txt"), LineEncoder(processor)
    for special in ("<mask>", "<s>", "<pad>", "</s>", "<unk>"):
        line = f"αβγ {special} δ"
        assert special in processor.encode(line, out_type=str)
        row = np.append(encoder.indices([line])[0], 2).astype(encoder.dtype)
        indices = dictionary.encode_line(encoder.text(row.tobytes()), add_if_not_exist=False).tolist()
        assert indices == row.tolist()
        assert indices == [*(3 if i == processor.unk_id() else i + 1 for i in processor.encode(line)), 2]
        assert indices.count(3) == 1


@settings(max_examples=20, deadline=None)
@given(lines=st.lists(one_line | st.sampled_from(TROUBLE), max_size=300), workers=st.integers(1, 2))
def test_romanizing_keeps_every_line_in_its_place(lines, workers):
    rows = list(romanize_lines(lines, Romanization("stub"), workers))
    assert [(line, latn) for line, latn, _ in rows] == [(line, romanized(line)) for line in lines]


def test_uroman_in_its_cached_mode(tmp_path, ppa):
    """As its command line runs it: without the cache there are two spaces between the Chinese sentences."""
    expected = {
        "Ο λόγος, και ο νόμος.": "O logos, kai o nomos.",
        "龍珠𠻺十分之戇居啊我覺得。吓？": "longzhu𠻺10fenzhizhuangjuawojuede. xia? ",  # uroman raises on 十分之
        "سلام، دنیا": "slam, dnia",
        "献上，不可迟延。「你要归给我。": 'xianshang, bukechiyan. "niyaoguigeiwo. ',
    }
    source = write_corpus(tmp_path, {"some": list(expected)}) / "some.txt"
    assert ppa("romanize", "--input", source, "--output", tmp_path / "latn", "--workers", 2) == 0
    assert (tmp_path / "latn").read_text(encoding="utf-8").split("\n") == [*expected.values(), ""]
    (line,) = (line for line in expected if "分之" in line)
    reason = "rescued: romanizer raised AttributeError"
    record = {"lang": "some", "line": 2, "reason": reason, "text": line, "latn": expected[line]}
    assert json.loads((tmp_path / "latn.in_doubt.jsonl").read_text(encoding="utf-8")) == record
    assert not (tmp_path / "latn.dropped.jsonl").exists()
