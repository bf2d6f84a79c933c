"""Records by number are those that reading the whole file gives."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from ppa_preprocess.tokens import records
from ppa_preprocess.tokens.records import open_lines
from ppa_preprocess.tokens.storage import open_tokens, save_array, sizes_path, tokens_path


def check(found: records.Records, expected: list[bytes], chosen: list[int]) -> None:
    chosen = [index % len(expected) for index in chosen] if expected else []
    assert len(found) == len(expected)
    assert list(found) == expected
    assert list(found.take(np.array(chosen, dtype=np.int64))) == [expected[index] for index in chosen]


@given(text=st.text("ab\n\r\u2028").map(str.encode), chosen=st.lists(st.integers(0, 99)), size=st.integers(1, 9))
@example(text=b"", chosen=[], size=1)
@example(text=b"\n\n", chosen=[1, 0, 1], size=1)
def test_lines_are_split_at_newlines_alone(text, chosen, size):
    """Whatever the sizes of the blocks in which the file is read."""
    before = records._BLOCK_BYTES, records._BLOCK_RECORDS
    records._BLOCK_BYTES, records._BLOCK_RECORDS = size, size
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "text").write_bytes(text)
            with open_lines(Path(folder) / "text") as lines:
                check(lines, text.removesuffix(b"\n").split(b"\n") if text else [], chosen)
    finally:
        records._BLOCK_BYTES, records._BLOCK_RECORDS = before


@given(
    rows=st.lists(st.lists(st.integers(0, 65_499), max_size=5)),
    chosen=st.lists(st.integers(0, 99)),
    dtype=st.sampled_from([np.uint16, np.uint32]),
)
def test_rows_of_tokens(rows, chosen, dtype):
    with tempfile.TemporaryDirectory() as folder:
        expected = [np.array(row, dtype=dtype).tobytes() for row in rows]
        tokens_path(Path(folder), "orig").write_bytes(b"".join(expected))
        save_array(sizes_path(Path(folder), "orig"), np.array([len(row) for row in rows], dtype=np.int32))
        with open_tokens(Path(folder), "orig", np.dtype(dtype)) as tokens:
            check(tokens, expected, chosen)
            assert tokens.sizes.tolist() == [len(row) for row in rows]
