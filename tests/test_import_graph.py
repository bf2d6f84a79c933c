"""The shape of the house: no circles, no overfull rooms, and what may not import what."""

import pytest

from tests import import_graph

# what everything may use
BASE = ("commandline", "files", "codes", "yaml_file", "parallel", "cluster")


@pytest.fixture(scope="module")
def files() -> import_graph.Graph:
    return import_graph.file_graph()


def test_there_are_no_circles(files):
    assert import_graph.circles(files) == []
    assert import_graph.circles(import_graph.room_graph(files)) == []


def test_no_room_is_overfull():
    assert {room: n for room, n in import_graph.room_sizes().items() if n > import_graph.MOST_FILES} == {}


def test_preprocessing_and_evaluation_do_not_import_one_another(files):
    rooms = ("ppa_preprocess", "ppa_plugin.evaluation")
    for one, other in (rooms, rooms[::-1]):
        assert [edge for edge in edges(files, one) if within(edge[1], other)] == []


def test_the_base_imports_nothing_above_it(files):
    base = {f"ppa_plugin.{name}" for name in BASE}
    assert [edge for name in base for edge in edges(files, name) if edge[1] not in base] == []


def test_nothing_below_imports_preprocessing(files):
    assert [edge for edge in edges(files, "ppa_plugin") if within(edge[1], "ppa_preprocess")] == []


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
        ({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c", "a"}}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_circles_are_found(graph, expected):
    assert sorted(import_graph.circles(graph)) == expected


def edges(files: import_graph.Graph, room: str) -> list[tuple[str, str]]:
    """The imports of the files of a room, or of a file, as (importing, imported)."""
    return sorted((name, target) for name, targets in files.items() if within(name, room) for target in targets)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")
