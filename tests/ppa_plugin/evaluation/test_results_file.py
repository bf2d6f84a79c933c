"""The results file among several writers, and as a kill leaves it."""

import json
import multiprocessing

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.json_lines import drop_torn_line
from ppa_plugin.evaluation.results import Result, append_results, numbered_results, read_results


def made_up(seed: int, metric: str = "macro_f1") -> Result:
    model = ("modèle", "m", "a" * 64)
    return Result(
        *model, "ner", "eng_Latn", "ell_Grek", seed, metric, 0.5, 9, None, None, "d", {"long": "x" * 500}, "1"
    )


def append_many(path, first):
    for seed in range(first, first + 60):
        append_results(path, [made_up(seed, metric) for metric in ("macro_f1", "accuracy")])


def test_two_writers_do_not_tear_each_others_lines(tmp_path):
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(path, first)) for first in (0, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seeds = [result.seed for result in read_results(path)]
    assert sorted(seeds) == sorted([*range(60), *range(1000, 1060)] * 2)
    assert seeds[::2] == seeds[1::2]  # the two lines of one call stand together


def test_a_torn_line_is_dropped_and_a_whole_one_kept(tmp_path):
    path = tmp_path / "results.jsonl"
    assert not drop_torn_line(path)
    assert not path.exists()
    append_results(path, [made_up(1), made_up(2)])
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for length in range(start + 1, len(whole) - 1, 7):  # in the middle of a character too
        path.write_bytes(whole[:length])
        assert numbered_results(path, being_written=True) == [(1, made_up(1))]
        assert drop_torn_line(path)
        assert path.read_bytes() == whole[:start]
    path.write_bytes(whole[:-1])
    assert numbered_results(path, being_written=True) == [(1, made_up(1)), (2, made_up(2))]
    assert not drop_torn_line(path)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:20])
    assert drop_torn_line(path)
    assert path.read_bytes() == b""


def test_lines_are_numbered_as_an_editor_does(tmp_path):
    path = tmp_path / "results.jsonl"
    append_results(path, [made_up(1)])
    path.write_bytes(b"\n" + path.read_bytes() + b"\n")
    append_results(path, [made_up(2)])
    assert [number for number, _ in numbered_results(path)] == [2, 4]


def test_what_cannot_be_read(tmp_path):
    path = tmp_path / "results.jsonl"
    append_results(path, [made_up(1)])
    record = json.loads(path.read_text()) | {"config": "none"}
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UserError, match='line 1: not a result; its config is "none", expected an object'):
        numbered_results(path)
    with pytest.raises(UserError, match="cannot read"):
        drop_torn_line(tmp_path)
    with pytest.raises(UserError, match="cannot write"):
        append_results(tmp_path, [made_up(1)])
