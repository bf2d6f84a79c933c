"""No bad input ends in a traceback, a hang or a signal, or writes anything: one sentence, exit code 2."""

import bad_input_files
import bad_input_flags
import pytest
from bad_input import Row, check

ROWS = [*bad_input_flags.ROWS, *bad_input_files.ROWS]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_bad_input_is_one_sentence(row: Row, tmp_path):
    check(row, tmp_path)
