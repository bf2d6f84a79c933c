"""The imports of the packages as a graph: `python tests/import_graph.py` prints it, and a test holds its shape.

`ppa_preprocess` is `preprocess`, as it is installed. Imports inside functions count, those under `TYPE_CHECKING` do
not: nothing runs because of them.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {"ppa_plugin": "ppa_plugin", "ppa_preprocess": "preprocess"}  # as imported: the folder
MOST_FILES = 12  # of a room

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module of the packages by its name as imported; a package's is its `__init__.py`."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def file_graph() -> Graph:
    """Which modules each module imports. A package that is imported for its own names counts as its `__init__.py`."""
    known = modules()
    graph = {name: set() for name in known}
    for name, path in known.items():
        for imported in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            target = next((part for part in _shorter(imported) if part in known), None)
            if target is not None and target != name:
                graph[name].add(target)
    return graph


def room_graph(graph: Graph) -> Graph:
    """The graph of rooms, for folders side by side: an edge from one child of a package to another child of it.

    A file of a package is a room of its own here, and so is `__init__.py`, which is named `<package>.__init__`.
    """
    rooms: Graph = defaultdict(set)
    for source, targets in graph.items():
        for target in targets:
            one, two = source.split("."), target.split(".")
            common = next(
                (i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
            )
            heads = [
                ".".join(parts[: common + 1]) if len(parts) > common else ".".join([*parts, "__init__"])
                for parts in (one, two)
            ]
            rooms[heads[0]].add(heads[1])
    return dict(rooms)


def circles(graph: Graph) -> list[list[str]]:
    """The strongly connected components of more than one node (Tarjan 1972), each sorted."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while not component or component[-1] != node:
                component.append(stack.pop())
                on_stack.discard(component[-1])
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def room_sizes() -> dict[str, int]:
    """The number of Python files in each folder of the packages, `__init__.py` included."""
    sizes: dict[str, int] = defaultdict(int)
    for path in modules().values():
        sizes[str(path.parent.relative_to(ROOT))] += 1
    return dict(sizes)


def _imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, each as long as it is written."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _shorter(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def main() -> None:
    """Print every room with its files, what it imports from other rooms, and the circles."""
    graph = file_graph()
    rooms = room_graph(graph)
    for room, count in sorted(room_sizes().items()):
        sys.stdout.write(f"{room}: {count} files\n")
    sys.stdout.write("\n")
    for room, targets in sorted(rooms.items()):
        sys.stdout.write(f"{room} -> {', '.join(sorted(targets))}\n")
    for name, found in (("files", circles(graph)), ("rooms", circles(rooms))):
        sys.stdout.write(f"\ncircles of {name}: {found or 'none'}\n")


if __name__ == "__main__":
    main()
