"""Writing a whole directory beside its place and renaming it there, so that none is ever half written."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ppa_plugin.commandline import UserError
from ppa_plugin.files import check_output


def check_free(path: str | Path, own: Collection[str], overwrite: bool) -> None:
    """Raise `UserError` unless a directory may, and can, be written at `path`.

    It may where nothing or an empty directory is, and with `overwrite` where a directory holds only names in `own`,
    those that the command writes itself: nobody else's files are ever removed.
    """
    check_output(path)
    path = Path(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"{path} exists and is not a directory")
    found = sorted(entry.name for entry in path.iterdir())
    if found and not overwrite:
        raise UserError(f"{path} is not empty; pass --overwrite or choose another directory")
    foreign = [name for name in found if name not in own]
    if foreign:
        raise UserError(f"{path} holds {foreign[0]}, which this command did not write; choose another directory")


@contextmanager
def directory_beside(path: str | Path) -> Iterator[Path]:
    """Yield a fresh directory beside `path`; it takes the place of `path` when the block ends well, else it goes."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    fresh, old = beside / "new", beside / "old"
    fresh.mkdir()
    try:
        yield fresh
        if path.exists():
            os.rename(path, old)
        os.rename(fresh, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
