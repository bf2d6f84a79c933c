"""What every command shares."""

from ppa_plugin.commandline import align


def test_a_table_is_aligned_without_space_at_line_ends():
    assert align([["a", "bb", ""], ["long", "c", "dd"]]) == ["a     bb", "long   c  dd"]
