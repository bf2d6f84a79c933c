"""`ppa-user-dir` prints the installed plugin's path, for `fairseq-train --user-dir "$(ppa-user-dir)"`."""

import sys
from pathlib import Path


def main() -> None:
    """Write the directory to standard output."""
    sys.stdout.write(f"{Path(__file__).parent}\n")
