"""The checkpoints of a training run in one directory: fairseq's files, or Hugging Face directories."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ppa_plugin.commandline import UserError, quoted
from ppa_plugin.convert import to_hf
from ppa_plugin.convert.hugging_face import read_config
from ppa_plugin.evaluation.model import hash_weights
from ppa_plugin.files import directory_beside, sha256
from ppa_plugin.model.checkpoint import load_fairseq, updates

# of two names for one update, the one that says which it is comes first
_NAMES = (r"checkpoint_\d+_(\d+)\.pt", r"checkpoint\d+\.pt", r"checkpoint_best.*\.pt")
_BLOCK = re.compile(r"\blayers\.\d+\.")
_LAST_NUMBER = re.compile(r"(\d{1,18})$")


@dataclass(frozen=True)
class Checkpoint:
    """One of a series: `path` a `.pt` file or a Hugging Face directory; `step` None where nothing says the updates.

    `depth` is the number of its blocks, `sha256` that of the file or of the directory's weights.
    """

    path: Path
    step: int | None
    depth: int
    sha256: str

    @property
    def converts(self) -> bool:
        """Whether it is fairseq's and has to be converted to be measured."""
        return self.path.is_file()

    @contextmanager
    def as_hugging_face(self, tokenizer: str | None) -> Iterator[Path]:
        """Its Hugging Face directory, for fairseq's a temporary one (`TMPDIR` says where). Raises `UserError`."""
        if not self.converts:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="ppa-select-") as directory:
            to_hf.convert(self.path, tokenizer).write(Path(directory), self.path.stem)
            yield Path(directory)

    def write(self, output: str | Path, tokenizer: str | None) -> None:
        """Write its Hugging Face directory to `output`, beside and renamed into place."""
        with directory_beside(output) as fresh:
            if self.converts:
                to_hf.convert(self.path, tokenizer).write(fresh, Path(output).absolute().name)
            else:
                shutil.copytree(self.path, fresh, dirs_exist_ok=True)


def find(directory: str | Path) -> list[Path]:
    """The `.pt` files and Hugging Face directories in a directory, names that say the update first.

    Raises `UserError` where there are none.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"--checkpoints {directory} is not a directory")
    files = sorted(directory.glob("*.pt"), key=lambda path: (_rank(path.name), path.name))
    found = files + sorted(path for path in directory.iterdir() if os.path.lexists(path / "config.json"))
    if not found:
        raise UserError(f"{directory} holds neither checkpoints (*.pt) nor Hugging Face directories")
    return found


def read(path: Path) -> Checkpoint:
    """What is known of a checkpoint without converting it. Raises `UserError` where it is none, or damaged."""
    if path.is_dir():
        number = _LAST_NUMBER.search(path.name)
        depth = read_config(path).get("num_hidden_layers", 0)
        if not isinstance(depth, int) or isinstance(depth, bool):
            raise UserError(f"{path}/config.json: num_hidden_layers is {quoted(depth)}, expected a whole number")
        return Checkpoint(path, int(number.group()) if number else None, depth, hash_weights(path))
    trained = load_fairseq(path)
    blocks = {match.group() for match in map(_BLOCK.search, trained["model"]) if match}
    return Checkpoint(path, updates(trained), len(blocks), sha256(path))


def _rank(name: str) -> int:
    return next((rank for rank, pattern in enumerate(_NAMES) if re.fullmatch(pattern, name)), len(_NAMES))
