"""The cache gives back what was put in under the same key, or nothing, or says that it is damaged."""

import multiprocessing
import os
import random
import signal
import sqlite3

import pytest

from ppa_plugin.commandline import UserError
from ppa_plugin.romanization import cache as romanization_cache
from ppa_plugin.romanization.cache import CacheTrouble, CacheWriter, RomanizationCache, prepare

MADE_WITH = ("uroman", "1.3.1.1", "ell")
ENTRIES = {f"λέξη{i}": f"lexi{i}" for i in range(1500)} | {
    "\x00α\x00": "\x00a",
    "": "",
    "’": "'",
    "天" * 400: "tian" * 400,
}


def opened(path, made_with=MADE_WITH):
    return RomanizationCache(path, *made_with)


def fill(path, entries, made_with=MADE_WITH):
    prepare(path)
    cache = opened(path, made_with)
    cache.add(entries)
    cache.flush()
    cache.close()


def found(path, parts, made_with=MADE_WITH):
    cache = opened(path, made_with)
    try:
        return cache.find(parts)
    finally:
        cache.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shared" / romanization_cache.FILE_NAME


def test_what_was_added_is_found(path):
    fill(path, ENTRIES)
    assert found(path, [*ENTRIES, "unknown"]) == ENTRIES
    cache = opened(path)
    assert cache.first(10_000) == ENTRIES
    some = cache.first(7)
    assert len(some) == 7
    assert some.items() <= ENTRIES.items()


@pytest.mark.parametrize(
    "other", [("uroman", "1.3.1.2", "ell"), ("uroman", "1.3.1.1", None), ("other", "1.3.1.1", "ell")]
)
def test_another_version_code_or_romanizer_is_a_miss(path, other):
    fill(path, ENTRIES)
    fill(path, {"λέξη1": "something else"}, other)
    assert found(path, ENTRIES, other) == {"λέξη1": "something else"}
    assert found(path, ENTRIES) == ENTRIES


def test_no_code_is_one_key(path):
    fill(path, {"α": "a"}, ("uroman", "1", None))
    assert found(path, ["α"], ("uroman", "1", "")) == {"α": "a"}


def test_a_full_cache_is_read_and_takes_no_more(path, monkeypatch):
    monkeypatch.setattr(romanization_cache, "MOST_BYTES", 200_000)
    for start in range(0, 60_000, 500):
        fill(path, {f"λέξη{i}": f"lexi{i}" for i in range(start, start + 500)})
    assert path.stat().st_size < 300_000
    assert found(path, ["λέξη7", "λέξη59999"]) == {"λέξη7": "lexi7"}


def _write_until_killed(path):
    """Add entries in many commits, and die inside one."""
    cache = opened(path)
    cache.add({f"α{i}": f"a{i}" for i in range(3000)})
    cache.flush()
    steps = iter(range(20))
    cache._connection.set_progress_handler(
        lambda: os.kill(os.getpid(), signal.SIGKILL) if next(steps, None) is None else 0, 1000
    )
    cache.add({f"β{i}": f"b{i}" for i in range(6000)})
    cache.flush()


def test_a_writer_killed_within_a_commit_leaves_what_it_had_committed(path):
    prepare(path)
    writer = multiprocessing.get_context("fork").Process(target=_write_until_killed, args=(path,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert path.with_name(path.name + "-wal").exists()
    prepare(path)
    assert found(path, [f"α{i}" for i in range(3000)]) == {f"α{i}": f"a{i}" for i in range(3000)}
    assert found(path, [f"β{i}" for i in range(6000)]) == {}
    fill(path, {"γ": "g"})
    assert found(path, ["γ"]) == {"γ": "g"}


def _fill_own(path, start, number):
    start.wait()
    for i in range(20):
        fill(path, {f"α{number}.{i}.{j}": f"a{number}.{i}.{j}" for j in range(30)} | {f"β{i}": f"b{i}"})


def _prepare_own(path, start):
    start.wait()
    prepare(path)


def test_processes_that_begin_together_make_the_file_together(tmp_path):
    context = multiprocessing.get_context("fork")
    for number in range(25):  # one in six met another's lock
        start = context.Barrier(5)
        path = tmp_path / f"{number}" / romanization_cache.FILE_NAME
        processes = [context.Process(target=_prepare_own, args=(path, start)) for _ in range(5)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 5


def test_several_processes_at_once(path):
    """They make the file together, write at once, and lose nothing of each other."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    processes = [context.Process(target=_fill_own, args=(path, start, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    expected = {f"α{n}.{i}.{j}": f"a{n}.{i}.{j}" for n in range(3) for i in range(20) for j in range(30)}
    expected |= {f"β{i}": f"b{i}" for i in range(20)}
    assert found(path, expected) == expected


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database, but long enough to be taken for one" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: _execute(path, "PRAGMA user_version = 99"),
        lambda path: _execute(path, "DROP TABLE parts"),
    ],
)
def test_a_damaged_file_is_replaced_with_a_note(path, spoil, capsys):
    fill(path, ENTRIES)
    spoil(path)
    prepare(path)
    error = capsys.readouterr().err
    assert error.startswith(f"note: the romanizer cache {path} is damaged (")
    assert error.count("\n") == 1
    assert found(path, ENTRIES) == {}
    fill(path, ENTRIES)
    assert found(path, ENTRIES) == ENTRIES


def _execute(path, statement):
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE parts SET latn = 'lexj7' WHERE part = 'λέξη7'",
        "UPDATE parts SET part = 'λέξη7000' WHERE part = 'λέξη7'",
        "UPDATE parts SET latn = x'00' WHERE part = 'λέξη7'",
        "UPDATE parts SET latn = CAST(x'ff' AS TEXT) WHERE part = 'λέξη7'",
        "UPDATE parts SET latn = NULL WHERE part = 'λέξη7'",
    ],
)
def test_a_changed_row_is_noticed(path, change):
    fill(path, ENTRIES)
    _execute(path, change)
    with pytest.raises(CacheTrouble) as raised:
        found(path, [*ENTRIES, "λέξη7000"])
    assert raised.value.damaged


def test_no_flipped_bit_gives_another_romanization(path):
    entries = dict(list(ENTRIES.items())[:200])
    fill(path, entries)
    content, chance, noticed = path.read_bytes(), random.Random(1), 0
    for _ in range(300):
        spoilt = bytearray(content)
        spoilt[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(spoilt)
        try:
            assert found(path, entries).items() <= entries.items()
        except CacheTrouble:
            noticed += 1
    assert noticed > 50


def test_the_writer_gives_up_and_removes_a_damaged_file(path, capsys):
    fill(path, ENTRIES)
    writer = CacheWriter(path, *MADE_WITH)
    writer.keep({"α": "a"}, None)
    writer.keep({"β": "b"}, CacheTrouble("a checksum differs", damaged=True))
    writer.keep({"γ": "g"}, CacheTrouble("a checksum differs", damaged=True))
    writer.close()
    assert not list(path.parent.iterdir())
    assert capsys.readouterr().err.count("is damaged (a checksum differs); it is removed and fills again\n") == 1


def test_a_worker_that_comes_late_makes_no_file_where_a_damaged_one_was(path):
    fill(path, ENTRIES)
    romanization_cache.remove(path, "a test")
    with pytest.raises(CacheTrouble, match="unable to open") as met:
        opened(path)
    assert not met.value.damaged
    assert not any(path.parent.iterdir())


def test_a_full_disk_ends_the_cache_and_not_the_run(path, capsys):
    fill(path, ENTRIES)
    writer = CacheWriter(path, *MADE_WITH)
    writer.keep({"α": "a"}, None)
    writer._cache._connection.execute("PRAGMA max_page_count = 1")  # SQLite's own way to say that the disk is full
    writer.keep({f"{'β' * 300}{i}": "b" for i in range(9000)}, None)
    writer.keep({"γ": "g"}, None)
    writer.close()
    assert "is not used any further (database or disk is full)" in capsys.readouterr().err
    assert found(path, [*ENTRIES, "γ"]) == ENTRIES


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the romanizer cache to"):
        prepare(tmp_path / "file" / romanization_cache.FILE_NAME)
    (tmp_path / "folder" / romanization_cache.FILE_NAME).mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be used"):
        prepare(tmp_path / "folder" / romanization_cache.FILE_NAME)
