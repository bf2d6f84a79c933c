"""What a result says of the model that was measured."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ppa_plugin.convert.hugging_face import locate, no_weights, weight_files
from ppa_plugin.evaluation.results import Result
from ppa_plugin.files import reading, sha256


@dataclass(frozen=True)
class Model:
    """What a result says of the model: a name for tables, where it was, and the SHA-256 of its weights."""

    name: str
    path: str
    sha256: str

    @classmethod
    def of(cls, directory: Path, path: str, name: str | None) -> "Model":
        """Of a Hugging Face directory that the user calls `path`. Raises `UserError` where it holds no weights."""
        return cls(name or Path(path).absolute().name, path, hash_weights(directory))

    @classmethod
    def located(cls, path: str, name: str | None) -> tuple[Path, "Model"]:
        """The local directory of what `path` names, a directory or a model of the hub, and what results say of it."""
        directory = locate(path)
        return directory, cls.of(directory, path, name)

    def result(self, **values: Any) -> Result:
        """A result on the model, by this version of the package; `values` are the other fields."""
        named = {"model": self.name, "model_path": self.path, "model_sha256": self.sha256}
        return Result(**named, version=version("translit-ppa"), **values)


def hash_weights(directory: Path) -> str:
    """SHA-256 over the weight files of a Hugging Face directory in name order. `UserError` where there are none."""
    files = weight_files(directory)
    if not files:
        raise no_weights(directory)
    with reading(directory, "weights"):
        return sha256(*files)
