"""The file of a suite, and running it as a user does."""

import yaml
from running import exit_code

from ppa_plugin.evaluation import cli

LANGUAGES = ("ell_Grek", "fas_Arab", "tur_Latn")


def run(*arguments) -> int:
    return exit_code(cli.main, "suite", *arguments)


def write(place, **changes):
    """The file of a suite: 2 models x (1 retrieval task + 2 sources x 2 seeds of one that is fine-tuned) = 10 cells."""
    content = {
        "output": "results.jsonl",
        "device": "cpu",
        "models": ["base", {"path": "aligned", "name": "MLM+SEQ"}],
        "tasks": {
            "bible": {"data": "bibles", "sources": ["eng_Latn", "fas_Arab"]},
            "taxi1500": {"data": "topics", "sources": ["fas_Arab", "tur_Latn"]},
        },
        **changes,
    }
    path = place / "suite.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def one_task(place, **options):
    """The file of a suite of one model and one fine-tuned task."""
    options = {"data": "topics", "sources": ["fas_Arab"], **options}
    return write(place, models=["base"], tasks={"taxi1500": options})
