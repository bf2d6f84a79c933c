"""Datasets of the Hugging Face hub as a source, streamed: a configuration for each language, its split `train`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ppa_preprocess.text.source_formats import Findings, check_column, library, string_values

from ppa_plugin.files import naming_errors

PREFIX = "hf:"
_SPLIT = "train"
_BATCH_ROWS = 1 << 10


class Hub:
    """A dataset by its name on the hub, or by a local directory laid out like one; `NAME@REVISION` for one revision.

    Its methods are those of `sources.Directory`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._path, _, revision = name.partition("@")
        self._revision = revision or None
        self._datasets = library("datasets", f"--input {PREFIX}{name}")
        with naming_errors(f"--input {PREFIX}{name}"):
            self.codes = sorted(self._datasets.get_dataset_config_names(self._path, revision=self._revision))

    def find(self, code: str) -> "Configuration | None":
        if code not in self.codes:
            return None
        name = f"{PREFIX}{self.name} {code}"
        with naming_errors(name):
            builder = self._datasets.load_dataset_builder(self._path, code, revision=self._revision)
        return Configuration(name, builder)

    def missing(self, code: str) -> str:
        return f"--input {PREFIX}{self.name} has no configuration {code}"


class Configuration:
    """One configuration of a dataset, as `sources.Files`; what it was at which revision is known without reading it."""

    def __init__(self, name: str, builder: Any) -> None:
        self.name = name
        self._builder = builder

    def read(self, column: str, found: Findings) -> Iterator[str]:
        rows = 0
        with naming_errors(self.name):
            stream = self._builder.as_streaming_dataset(split=_SPLIT)
            for table in stream.with_format("arrow").iter(_BATCH_ROWS):
                check_column(self.name, column, table.column_names)
                for chunk in table.column(column).chunks:
                    yield from string_values(chunk, self.name, rows, column, found)
                    rows += len(chunk)
        found.files += self.fingerprints()

    def fingerprints(self, digest: Callable[[Path], str] | None = None) -> list[list[str]]:
        # the hash is the commit on the hub, or made from the files' names, sizes and times of a local directory
        return [[self.name, str(self._builder.hash)]]
