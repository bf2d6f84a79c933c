"""Two files of which line i of one belongs to line i of the other."""

import re
from itertools import islice

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.files import lines_side_by_side


@pytest.mark.parametrize("longer", ["one", "other"])
def test_the_longer_of_two_files_ends_in_one_sentence_with_both_counts(tmp_path, longer):
    one, other = (tmp_path / name for name in ("one", "other"))
    for path in (one, other):
        path.write_text("a\u2028b\n\nc")  # three lines, one of them empty
    assert list(lines_side_by_side(one, other, "like")) == [("a\u2028b",) * 2, ("",) * 2, ("c",) * 2]
    with open(tmp_path / longer, "a") as handle:
        handle.write("\n" + "more\n" * 1000)
    counts = "1,003 lines and {} has 3" if longer == "one" else "3 lines and {} has 1,003"
    says = f"{one} has {counts.format(other)}; line i of {other} has to be like line i of {one}"
    with pytest.raises(UserError, match=f"^{re.escape(says)}$"):
        list(lines_side_by_side(one, other, "like"))
    assert len(list(islice(lines_side_by_side(one, other, "like"), 3))) == 3  # what is asked for is there
