"""`ppa-user-dir` prints the installed plugin's path, for `fairseq-train --user-dir "$(ppa-user-dir)"`."""

from pathlib import Path

from ppa_plugin import commandline


def main() -> None:
    """Write the directory to standard output and exit."""
    commandline.run(lambda argv: commandline.say(str(Path(__file__).parent)))
