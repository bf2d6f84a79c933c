"""What the examples share: a step's heading, a command shown as one would type it, its output kept in a log."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTED = time.monotonic()


def say(heading: str) -> None:
    """Print the heading of a step, with the minutes and seconds since the start."""
    minutes, seconds = divmod(round(time.monotonic() - STARTED), 60)
    print(f"\n[{minutes}:{seconds:02d}] {heading}", flush=True)


def echo(command: list[str]) -> None:
    """Print a command so that it can be copied: a flag and its value on one line, lines of at most 110 characters."""
    lines = [""]
    for part in re.split(r" (?=--)", shlex.join(command)):
        if len(lines[-1]) + len(part) > 100:
            lines.append("")
        lines[-1] += f"{part} "
    print("  $ " + "\\\n      ".join(lines), flush=True)


def run(log: Path, *arguments: str | Path, environment: dict[str, str] | None = None, label: str = "") -> None:
    """Run a command in the root of the repository and show how it gets on; all that it says goes to `log`.

    `environment` is added to this process's; `label` begins each line that is shown, to tell commands side by
    side apart.
    """
    command = [str(argument) for argument in arguments]
    echo(command)
    log.parent.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | (environment or {})
    with (
        open(log, "w", encoding="utf-8", buffering=1) as kept,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        ) as process,
    ):
        for line in process.stdout:
            kept.write(line)
            if shown := progress_of(line) if command[0] == "fairseq-train" else line.rstrip():
                print(f"    {label}{shown}", flush=True)
    if process.returncode:
        last = "".join(f"    {line}\n" for line in log.read_text(encoding="utf-8").splitlines()[-20:])
        raise SystemExit(f"{last}error: {command[0]} ended with exit code {process.returncode}; all of it is in {log}")


def progress_of(line: str) -> str | None:
    """The terms of the loss in a line of fairseq-train's JSON log, None for any other line."""
    _, found, record = line.partition(" | train_inner | ")
    if not found:
        return None
    values = json.loads(record)
    terms = ("mlm_orig", "mlm_latn", "tlm", "seq", "seq_acc", "pairs_per_s")
    return f"update {values['num_updates']:>4}: " + ", ".join(f"{t} {values[t]}" for t in terms if t in values)
