"""The romanizer cache: one SQLite file of romanized parts that processes, shards, groups and runs share.

SQLite rather than LMDB: it comes with Python, and a batch of look-ups takes 4.4 µs a part against 3.4 (Python 3.11,
544k parts), where uroman takes 50 to 700. In its write-ahead mode a process that is killed leaves what it had
committed, and readers never wait. One process of a run writes, the parent; its workers read, and hand it what they
romanized.

A row holds a checksum of its part, its romanization and what it was made with, so that no damage to the file, whatever
SQLite notices of it, comes out as another romanization: it is found, said, and the file is removed.
"""

import hashlib
import sqlite3
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ppa_plugin.commandline import UserError

FILE_NAME = "romanizer-cache.sqlite"
MOST_BYTES = 1 << 30  # some 15 million words; a full cache is read and takes no more

_FORMAT = 1
_PARTS_A_QUERY = 500
_PARTS_A_COMMIT = 1024  # soon, so that other workers find them; 23 µs a part
_WAIT_SECONDS = 30.0  # for another run's commit
_DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class CacheTrouble(Exception):
    """The cache cannot be used any further: why, and whether the file holds something else than was written to it."""

    def __init__(self, reason: str, damaged: bool) -> None:
        super().__init__(reason, damaged)
        self.reason = reason
        self.damaged = damaged


class RomanizationCache:
    """A connection to the cache for a romanizer, its version and a language code, in the process that made it.

    Parts and romanizations are texts that have a UTF-8 form. Methods raise `CacheTrouble`, after which only `close` may
    be called.
    """

    def __init__(self, path: Path, romanizer: str, version: str, lang: str | None) -> None:
        made_with = "\0".join((romanizer, version, lang or "")).encode()
        self._key = int.from_bytes(hashlib.blake2b(made_with, digest_size=6).digest())
        self._checksum_start = zlib.crc32(made_with)
        self._waiting: dict[str, str] = {}
        self._connection = _connect(path)

    def first(self, most: int) -> dict[str, str]:
        """As many parts and romanizations as there are, up to `most`; a quarter of the time of finding them."""
        query = "SELECT part, latn, checksum FROM parts WHERE made_with = ? LIMIT ?"
        return self._checked(query, (self._key, most))

    def find(self, parts: Iterable[str]) -> dict[str, str]:
        """The romanizations of those parts that the cache holds."""
        wanted = list(parts)
        found = {}
        for start in range(0, len(wanted), _PARTS_A_QUERY):
            some = wanted[start : start + _PARTS_A_QUERY]
            places = ",".join("?" * len(some))
            query = f"SELECT part, latn, checksum FROM parts WHERE made_with = ? AND part IN ({places})"
            found |= self._checked(query, (self._key, *some))
        return found

    def add(self, entries: dict[str, str]) -> None:
        """Keep the romanizations of parts; they are on disk once there are many, or after `flush`."""
        self._waiting |= entries
        if len(self._waiting) >= _PARTS_A_COMMIT:
            self.flush()

    def flush(self) -> None:
        """Write what was added, unless the file has reached its largest size."""
        rows = [(self._key, part, latn, self._checksum(part, latn)) for part, latn in self._waiting.items()]
        self._waiting = {}
        with _trouble():
            if rows and not self._is_full():
                self._connection.execute("BEGIN IMMEDIATE")
                # in order, neighbouring pages are written once
                self._connection.executemany("INSERT OR IGNORE INTO parts VALUES (?, ?, ?, ?)", sorted(rows))
                self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file; what was not flushed is not kept."""
        self._connection.close()

    def _is_full(self) -> bool:
        pages, size = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return pages * size >= MOST_BYTES

    def _checked(self, query: str, values: tuple[int | str, ...]) -> dict[str, str]:
        found = {}
        with _trouble():
            for part, latn, checksum in self._connection.execute(query, values):
                if self._checksum(part, latn) != checksum:
                    raise CacheTrouble("a checksum differs", damaged=True)
                found[part] = latn
        return found

    def _checksum(self, part: str, latn: str) -> int:
        return zlib.crc32(f"{part}\n{latn}".encode(), self._checksum_start)  # no line holds a \n


class CacheWriter:
    """What the parent of a run holds: writes what its workers romanized, until the cache gives trouble.

    The file is opened with the first entries, so that workers forked before have no part in it.
    """

    def __init__(self, path: Path, romanizer: str, version: str, lang: str | None) -> None:
        self._path = path
        self._made_with = (romanizer, version, lang)
        self._cache: RomanizationCache | None = None
        self._given_up = False

    def keep(self, new: dict[str, str], trouble: CacheTrouble | None) -> None:
        """Add new entries; `trouble` is what a worker had on reading."""
        if self._given_up:
            return
        try:
            if trouble:
                raise trouble
            if new:
                self._cache = self._cache or RomanizationCache(self._path, *self._made_with)
                self._cache.add(new)
        except CacheTrouble as met:
            self._give_up(met)

    def close(self) -> None:
        """Write what is left and let go of the file."""
        if self._cache and not self._given_up:
            try:
                self._cache.flush()
            except CacheTrouble as met:
                self._give_up(met)
        if self._cache:
            self._cache.close()

    def _give_up(self, trouble: CacheTrouble) -> None:
        self._given_up = True
        if self._cache:
            self._cache.close()
        if trouble.damaged:
            remove(self._path, trouble.reason)
        else:
            sys.stderr.write(f"note: the romanizer cache {self._path} is not used any further ({trouble.reason})\n")


def prepare(path: Path) -> None:
    """Make the cache's file, or check that there is one that can be used; a damaged one is replaced, with a note.

    Raises `UserError` where the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the romanizer cache to {path.parent}: {error.strerror}") from None
    for replaced in (False, True):
        try:
            with _trouble():
                _make_tables_once_free(path)
            return
        except CacheTrouble as trouble:
            if replaced or not trouble.damaged:
                raise UserError(
                    f"the romanizer cache {path} cannot be used ({trouble.reason}); name another folder with --cache"
                ) from None
            remove(path, trouble.reason)


def remove(path: Path, reason: str) -> None:
    """Take away a cache that is damaged, and say so; it fills again."""
    sys.stderr.write(f"note: the romanizer cache {path} is damaged ({reason}); it is removed and fills again\n")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _make_tables_once_free(path: Path) -> None:
    """Make the tables, after other processes that do so too: to make a write-ahead log SQLite waits for nobody."""
    last = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return _make_tables(path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(0.01)


def _make_tables(path: Path) -> None:
    connection = _connect(path, "rwc")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _FORMAT):
            raise CacheTrouble(f"its format is {version}, expected {_FORMAT}", damaged=True)
        if not version:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS parts (made_with INTEGER, part TEXT, latn TEXT, checksum INTEGER, "
                "PRIMARY KEY (made_with, part)) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            connection.execute("COMMIT")
        connection.execute("SELECT made_with, part, latn, checksum FROM parts LIMIT 1").fetchone()
    finally:
        connection.close()


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Open the file; only "rwc" makes one, so that a process that comes late makes none where a damaged one was."""
    with _trouble():
        where = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(where, timeout=_WAIT_SECONDS, isolation_level=None, uri=True)
        connection.execute("PRAGMA synchronous = NORMAL")  # after a power cut the last commits may be lost, no more
    return connection


@contextmanager
def _trouble() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte; the others tell variants
        raise CacheTrouble(str(error), code in _DAMAGE) from None
