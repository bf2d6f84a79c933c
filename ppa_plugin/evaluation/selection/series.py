"""A series of checkpoints measured on one retrieval task, those that a results file has already left out."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.encoder.sentence_encoder import SentenceEncoder
from ppa_plugin.evaluation.model import Model
from ppa_plugin.evaluation.results import Result, append_results, numbered_results
from ppa_plugin.evaluation.retrieval import retrieve
from ppa_plugin.evaluation.retrieval.readers import Pair
from ppa_plugin.evaluation.selection import checkpoints
from ppa_plugin.evaluation.selection.checkpoints import Checkpoint
from ppa_plugin.model.sizes import default_layer


@dataclass(frozen=True)
class Measurement:
    """What is measured of every checkpoint; `layer` None is the default of its depth."""

    task: str
    pairs: tuple[Pair, ...]
    metric: str
    layer: int | None
    pool: str


class Series:
    """Checkpoints of one run under one name, told apart by their step; `output` None writes no results."""

    def __init__(self, name: str, measurement: Measurement, tokenizer: str | None, output: str | None):
        """Read what `output` has. Raises `UserError` where it is no results file or has another version of the data."""
        self.name, self.measurement, self.tokenizer, self.output = name, measurement, tokenizer, output
        self._means: dict[Path, tuple[float, Checkpoint]] = {}
        self._data = {(pair.source, pair.target): pair.data_sha256 for pair in measurement.pairs}
        there = numbered_results(output, being_written=True) if output and Path(output).exists() else []
        self._check_data(there)
        self._there = [result for _, result in there if "checkpoint_sha256" in result.config]

    def measure(self, path: Path, device: str) -> str:
        """Measure a checkpoint, append its results; says what came of it. Raises `UserError` where it cannot be."""
        checkpoint = checkpoints.read(path)
        for _, other in self._means.values():
            if checkpoint.converts and other.converts and checkpoint.step == other.step is not None:
                return f"update {checkpoint.step:,} as {other.path.name}"
        known = self._finished(checkpoint)
        results = list(known.values())
        measured = len(known) < len(self.measurement.pairs) * len(retrieve.KS)
        if measured:
            self._check_name(checkpoint)
            results = self._measured(checkpoint, device)
            if self.output is not None:
                append_results(self.output, [r for r in results if (r.source, r.target, r.metric) not in known])
        metric = self.measurement.metric
        mean = fmean(result.value for result in results if result.metric == metric)
        self._means[path] = mean, checkpoint
        return f"{metric} {100 * mean:.2f}" + ("" if measured else f", from {self.output}")

    def ranked(self) -> list[tuple[float, Checkpoint]]:
        """Every checkpoint measured and its mean over pairs, the best first; of equals, the one of fewer updates."""
        return sorted(self._means.values(), key=lambda each: (-each[0], each[1].step or 0))

    def _measured(self, checkpoint: Checkpoint, device: str) -> list[Result]:
        asked = self.measurement
        with checkpoint.as_hugging_face(self.tokenizer) as directory:
            model = Model.of(directory, str(checkpoint.path), self._name(checkpoint))
            encoder = SentenceEncoder(directory, asked.layer, asked.pool, device)
            results = retrieve.measure(encoder, model, asked.task, list(asked.pairs), step=checkpoint.step)
        note = {"checkpoint_sha256": checkpoint.sha256}
        return [replace(result, config=result.config | note) for result in results]

    def _finished(self, checkpoint: Checkpoint) -> dict[tuple[str, str, str], Result]:
        """The results of this measurement that the file has, by pair and metric, whatever name the checkpoint had."""
        asked = self.measurement
        layer = default_layer(checkpoint.depth) if asked.layer is None else asked.layer
        return {
            (result.source, result.target, result.metric): result
            for result in self._there
            if result.config["checkpoint_sha256"] == checkpoint.sha256
            and (result.task, result.layer, result.pool) == (asked.task, layer, asked.pool)
            and self._data.get((result.source, result.target)) == result.data_sha256
        }

    def _name(self, checkpoint: Checkpoint) -> str:
        """What results call it: those of one name are told apart by their step; without one, each has its own."""
        return self.name if checkpoint.step is not None else checkpoint.path.name.removesuffix(".pt")

    def _check_name(self, checkpoint: Checkpoint) -> None:
        for _, other in self._means.values():
            named_alike = (self._name(other), other.step) == (self._name(checkpoint), checkpoint.step)
            if named_alike and other.sha256 != checkpoint.sha256:
                raise UserError(
                    f"{other.path} and {checkpoint.path} are both update {checkpoint.step} by their names; rename one, "
                    "or the results would not tell them apart"
                )
        place = (self._name(checkpoint), self.measurement.task, checkpoint.step)
        for result in self._there:
            same = (result.model, result.task, result.config.get("step")) == place
            if same and result.config["checkpoint_sha256"] != checkpoint.sha256:
                at = "" if checkpoint.step is None else f" at update {checkpoint.step:,}"
                raise UserError(
                    f"{self.output} has results of another checkpoint that was called {place[0]}{at}; "
                    "pass another --name or another --output"
                )

    def _check_data(self, there: list[tuple[int, Result]]) -> None:
        for number, result in there:
            sha256 = self._data.get((result.source, result.target)) if result.task == self.measurement.task else None
            if sha256 not in (None, result.data_sha256):
                raise UserError(
                    f"{self.output}, line {number} was measured on another version of {result.task} "
                    f"{result.source} to {result.target}; pass another --output"
                )
