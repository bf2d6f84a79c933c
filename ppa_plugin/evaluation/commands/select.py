"""Rank the checkpoints of a training run by retrieval accuracy, as the paper chose its own: Tatoeba, top 10.

Measured are fairseq's files (checkpoint_*_N.pt, checkpoint_last.pt, ...; one update once), each converted into a
temporary directory (TMPDIR), and Hugging Face directories. With --output, checkpoints whose results are there are not
measured again. A file that is damaged or no checkpoint is said and left out; the exit code is then 1.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ppa_plugin.codes import ENGLISH
from ppa_plugin.commandline import natural, say
from ppa_plugin.evaluation.commands import flags
from ppa_plugin.evaluation.encoder.batches import POOLS
from ppa_plugin.evaluation.tasks import RETRIEVAL, RetrievalTask, of_kind

if TYPE_CHECKING:
    from ppa_plugin.evaluation.selection.checkpoints import Checkpoint

NAME = "select"
HELP = "checkpoints ranked by Tatoeba top-10"
EXAMPLE = """\
example:
  ppa-evaluate select --checkpoints checkpoints --data eval/tatoeba --output results.jsonl --best-to aligned
"""
_METRICS = RetrievalTask.metrics


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `ppa-evaluate select`."""
    parser.add_argument("--checkpoints", required=True, metavar="DIR", help="the directory with the checkpoints")
    parser.add_argument("--name", help="what the results call the series (default: the directory's base name)")
    parser.add_argument("--data", required=True, metavar="DIR", help="the directory with the task's files")
    parser.add_argument("--task", default="tatoeba", choices=of_kind(RETRIEVAL), help="which files in it (%(default)s)")
    parser.add_argument(
        "--sources", default=[ENGLISH], metavar="L,...", type=flags.languages, help=f"of the queries ({ENGLISH})"
    )
    parser.add_argument(
        "--targets",
        metavar="L,...",
        type=flags.languages,
        help="languages to search (default: every language found but English)",
    )
    parser.add_argument("--metric", default=_METRICS[0], choices=_METRICS, help="what ranks them (%(default)s)")
    parser.add_argument("--layer", metavar="K", type=natural, help="layer to pool (default: as of retrieval)")
    parser.add_argument("--pool", default=POOLS[0], choices=POOLS, help="tokens to pool (%(default)s)")
    parser.add_argument("--tokenizer", metavar="DIR|FILE", help="as of ppa-convert to-hf (default: found as there)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")
    parser.add_argument(
        "--output", metavar="results.jsonl", type=flags.output_file, help="file to append results to (default: none)"
    )
    parser.add_argument("--best-to", metavar="HF_DIR", help="write the best one there, as a Hugging Face directory")


def run(args: argparse.Namespace) -> int:
    """Measure every checkpoint, print them from the best on; the exit code."""
    # imported here, so that --help and mistyped flags do not wait for Transformers
    from ppa_plugin.convert.to_hf import HF_FILES
    from ppa_plugin.evaluation.json_lines import drop_torn_line
    from ppa_plugin.evaluation.retrieval import retrieve
    from ppa_plugin.evaluation.retrieval.readers import RetrievalSet
    from ppa_plugin.evaluation.selection import checkpoints
    from ppa_plugin.evaluation.selection.series import Measurement, Series
    from ppa_plugin.evaluation.suite.workers import attempt
    from ppa_plugin.files import check_free

    pairs = retrieve.plan(RetrievalSet(args.data, args.task), args.sources, args.targets)
    if args.best_to:
        check_free(args.best_to, HF_FILES, overwrite=False)
    paths = checkpoints.find(args.checkpoints)
    if args.output:
        drop_torn_line(args.output)
    name = args.name or Path(args.checkpoints).absolute().name
    asked = Measurement(args.task, tuple(pairs), args.metric, args.layer, args.pool)
    series = Series(name, asked, args.tokenizer, args.output)
    device = flags.device_or_default(args.device)
    failed = 0
    for number, path in enumerate(paths, 1):
        outcome = attempt(series.measure, path, device)
        failed += bool(outcome.reason)
        said = f"failed: {outcome.reason}" if outcome.reason else f"{outcome.value}, {outcome.seconds:.0f} s"
        say(f"[{number}/{len(paths)}] {path.name}: {said}")
    _conclude(args, series.ranked())
    return int(bool(failed))


def _conclude(args: argparse.Namespace, ranked: "list[tuple[float, Checkpoint]]") -> None:
    """Print the ranking, and write the best one or say how to."""
    if not ranked:
        return
    say(f"\nrank      step  {args.metric:>6}  checkpoint")
    for rank, (mean, checkpoint) in enumerate(ranked, 1):
        step = "-" if checkpoint.step is None else f"{checkpoint.step:,}"
        say(f"{rank:4}  {step:>8}  {100 * mean:6.2f}  {checkpoint.path.name}")
    best = ranked[0][1]
    say(f"\nbest: {best.path}")
    if args.best_to:
        best.write(args.best_to, args.tokenizer)
        say(f"wrote {args.best_to}")
    elif best.converts:
        tokenizer = ["--tokenizer", args.tokenizer] if args.tokenizer else []
        say(shlex.join(["ppa-convert", "to-hf", str(best.path), "aligned", *tokenizer]))
