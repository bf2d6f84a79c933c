"""Token blocks against a plain version from SentencePiece's own spans, on text of many scripts and forms."""

import itertools
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_xlmr import train_pieces

from ppa_plugin.data.blocks import BlockAligner, Blocks, read_row, whole_blocks
from ppa_plugin.data.vocabulary import load_sentencepiece
from ppa_plugin.romanization.by_part import Romanization
from ppa_plugin.romanization.edges import mark
from ppa_plugin.romanization.exact_uroman import Uroman
from ppa_plugin.romanization.text_file import romanize_rows


@pytest.fixture(scope="module")
def processor(sentencepiece_path):
    return load_sentencepiece(sentencepiece_path)


@pytest.fixture(scope="module")
def aligner(processor):
    return BlockAligner(processor)


@pytest.fixture(scope="module")
def uroman():
    return Uroman()


def align(aligner, lines, romanizations, marked, most=None):
    return aligner.blocks(aligner.encode(lines), aligner.encode(romanizations), marked, most)


def token_ends(processor, line):
    """{character of the line: tokens up to there} for the ends of tokens in the text, by SentencePiece's own spans.

    They are in bytes. A token that ends inside of what a character became has one too, where that character begins:
    the text up to there does not give the tokens up to there.
    """
    ends, spelled = {}, ""
    for number, piece in enumerate(processor.encode(line, return_type="proto").pieces, 1):
        end = len(line.encode()[: piece.end].decode())
        spelled += piece.piece
        # what it drops at the start has no token; a letter behind, since it drops white space at the end too
        if processor.normalize(line[:end]) and processor.normalize(line[:end] + "x") == spelled + "x":
            ends[end] = number
    return ends, number


def most_blocks(cuts, whole):
    """The most blocks that these cuts (tokens of orig, of latn) allow, each with tokens of both sides."""
    best = {(0, 0): 0}
    for cut in [*[c for c in cuts if c[0] < whole[0] and c[1] < whole[1]], whole]:
        below = [count for place, count in best.items() if place[0] < cut[0] and place[1] < cut[1]]
        if below:
            best[cut] = max(below) + 1
    return best[whole]


ODD = "ａｂＣ１ﬁﬂ①½㍿ﷺﻻﻼﺱﺵ각간가각힣ΰ́éé\u0301a\u0300\u200c\u200d\ufeff\u2003\u3000  '-.,。·་"
ORDINARY = "Ηειρήνηκςουθψشهرגדמиьยวคเແກມြ်ངོ平安城の静평화고ბხժդሰላም"
characters = st.text(st.sampled_from(ODD + ORDINARY), min_size=1, max_size=16)
edges_of_a_line = st.lists(
    st.tuples(st.text(st.sampled_from(ODD + ORDINARY), min_size=1, max_size=3), st.text("abcde 'ﬁé", max_size=3)),
    min_size=1,
    max_size=12,
)


def check(processor, blocks, edges, line, latn):
    (at_orig, orig), (at_latn, of_latn) = token_ends(processor, line), token_ends(processor, latn)
    whole = (orig, of_latn)
    assert (blocks > 0).all()
    assert tuple(blocks.sum(axis=0)) == whole  # they tile both sides
    places = np.cumsum([(characters, len(text)) for characters, text in edges], axis=0).tolist()
    cuts = [(at_orig[x], at_latn[y]) for x, y in places if x in at_orig and y in at_latn]
    ends = [tuple(end) for end in np.cumsum(blocks, axis=0).tolist()]
    assert set(ends[:-1]) <= set(cuts)
    assert len(ends) == most_blocks(cuts, whole)
    for before, end in zip([(0, 0), *ends], ends, strict=False):  # none can be cut, on neither side
        assert not [c for c in cuts if before[0] < c[0] < end[0] and before[1] < c[1] < end[1]]


@settings(max_examples=200, deadline=None)
@given(edges=edges_of_a_line)
@example(edges=[("ﷺ", "a b"), (" ", " "), ("平", "c")])
@example(edges=[("平", ""), ("静", ""), ("安", "a")])
def test_blocks_of_any_edges(processor, aligner, edges):
    line, latn = ("".join(column) for column in zip(*edges, strict=True))
    counted = [(len(text), letters) for text, letters in edges]
    (blocks,) = align(aligner, [line], [latn], [mark(counted)]).of_pairs()
    if not processor.encode(line) or not processor.encode(latn):
        assert not len(blocks)
        return
    check(processor, blocks, counted, line, latn)


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(characters, min_size=1, max_size=6))
@example(lines=[unicodedata.normalize("NFD", "평화와 고요가"), "ｆｕｌｌ ﬁne", "ﻼ ﷺ سلام", "", "  平  和 ", "e\u0301a"])
def test_blocks_of_uromans_edges(processor, aligner, uroman, lines):
    """Many lines at once, as one by one; each by uroman."""
    edges = [uroman.edges(line, None) for line in lines]
    latn = ["".join(text for _, text in of_line) for of_line in edges]
    found = align(aligner, lines, latn, list(map(mark, edges)))
    assert len(found.counts) == len(lines)
    for line, romanized, of_line, blocks in zip(lines, latn, edges, found.of_pairs(), strict=True):
        if processor.encode(line) and processor.encode(romanized):
            check(processor, blocks, of_line, line, romanized)
        else:
            assert not len(blocks)


def test_sentences_of_many_scripts(aligner, sentences):
    """As romanized by part; all have blocks, far more than one."""
    rows = list(romanize_rows(sentences, Romanization("uroman", edges=True), 1))
    found = align(aligner, sentences, [row[1] for row in rows], [row[3] for row in rows])
    assert found.counts.min() > 3


# what the vocabulary of the page is trained on beside its sentences: the words, and names in them
NAMES = (
    "Αθήνα Ελλάδας Σεούλ Κορέας Афины Греции Сеул Кореи אתונה יוון סיאול קוריאה أثينا اليونان سيول كوريا አቴንስ የግሪክ "
    "ሴኡል የኮሪያ เอเธนส์ กรีซ กรุงเทพ ไทย ອາເທນ ກຣີກ ວຽງຈັນ ລາວ အေသင် ဂရိ ဆိုးလ် ကိုရီးယား 아테네 그리스 서울 한국 "
    "雅典 希腊 北京 中国 是 的 首都 是 的 首都 เป็น เมืองหลวง ของ ເປັນ ນະຄອນຫຼວງ ຂອງ သည် နိုင်ငံ ၏ မြို့တော် ဖြစ်သည် "
    "수도 이다 의 는 은"
)


def test_the_blocks_that_the_page_shows(tmp_path):
    """docs/objective.md, 20 sentences in 10 scripts: those of its lines, by the vocabulary that it names."""
    page = (Path(__file__).parents[3] / "docs/objective.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1].splitlines()
    parts = [[block.split(" | ") for block in line.split(" · ")] for line in shown]
    lines = ["".join(orig for orig, _ in blocks).replace("▁", " ").strip() for blocks in parts]
    assert len(lines) == 20
    rows = list(romanize_rows(lines, Romanization("uroman", edges=True), 1))
    names = [word for line in lines for word in line.split() if len(word) < 14] + NAMES.split()
    spelled = [latn for _, latn, _, _ in romanize_rows(names, Romanization("uroman"), 1)]
    text = [*lines, *(row[1] for row in rows), *names * 6, *spelled * 6]
    processor = load_sentencepiece(train_pieces(text, 375, tmp_path / "page.model"))
    found = align(BlockAligner(processor), lines, [row[1] for row in rows], [row[3] for row in rows])
    for blocks, line, row, expected in zip(found.of_pairs(), lines, rows, parts, strict=True):
        tokens = [iter(processor.encode(text, out_type=str)) for text in (line, row[1])]
        spelled = [
            ["".join(itertools.islice(side, n)) for side, n in zip(tokens, of_block, strict=True)]
            for of_block in blocks
        ]
        assert spelled == expected


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=6), min_size=1, max_size=5),
    st.integers(1, 12),
)
def test_cutting_keeps_whole_blocks(pairs, most):
    for blocks in pairs:
        blocks = np.array(blocks, dtype=np.int64).reshape(-1, 2)
        whole = 0
        while whole < len(blocks) and (blocks[: whole + 1].sum(axis=0) <= most).all():
            whole += 1
        assert whole_blocks(blocks, most).tolist() == blocks[:whole].tolist()


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(characters, min_size=1, max_size=4), most=st.integers(1, 8))
def test_blocks_of_cut_sides(aligner, uroman, lines, most):
    edges = [uroman.edges(line, None) for line in lines]
    pair = (lines, ["".join(text for _, text in of_line) for of_line in edges], list(map(mark, edges)))
    cut = align(aligner, *pair, most)
    expected = [whole_blocks(blocks, most).tolist() for blocks in align(aligner, *pair).of_pairs()]
    assert [blocks.tolist() for blocks in cut.of_pairs()] == expected


def test_no_blocks_without_edges_or_with_those_of_other_text(aligner):
    lines, latn = ["平安", "平安", "平安", "平安"], ["ab", "ab", "ab", "ab"]
    marked = ["", "a", "abc", "ab"]
    assert (align(aligner, lines, latn, marked).counts > 0).tolist() == [False, False, False, True]


@given(st.lists(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=5), min_size=1, max_size=5))
def test_rows_give_the_blocks_back(pairs):
    together = [block for of_pair in pairs for block in of_pair]
    blocks = Blocks(np.array(together, dtype=np.int64).reshape(-1, 2), np.array(list(map(len, pairs))))
    rows = [np.frombuffer(row, dtype=np.uint8) for row in blocks.rows()]
    assert min(map(len, rows)) > 0  # an index with an empty row counts as torn
    fitting = [of_pair if max(max(b) for b in of_pair or [(0,)]) < 256 else [] for of_pair in pairs]
    assert [[tuple(block) for block in read_row(row).tolist()] for row in rows] == fitting
