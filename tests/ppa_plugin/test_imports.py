"""What importing a part costs, and that importing the plugin registers it with fairseq in whichever order."""

import json
import subprocess
import sys

import pytest

# what takes a tenth of a second or more
HEAVY = {"torch", "fairseq", "transformers", "sklearn", "scipy", "matplotlib", "datasets", "pyarrow", "hydra", "uroman"}
LOADED = "import json, sys; sys.stdout.write('\\n' + json.dumps([name for name in sys.modules if '.' not in name]))"
REGISTERED = """
import sys
from fairseq.criterions import CRITERION_REGISTRY as criterions
from fairseq.models import ARCH_MODEL_REGISTRY as architectures
from fairseq.tasks import TASK_REGISTRY as tasks
known = ["translit_alignment" in tasks, "translit_alignment" in criterions, "glot500_base" in architectures]
sys.stdout.write(f"\\n{known}")
"""
USER_DIR = """
from argparse import Namespace
from pathlib import Path
from fairseq import tasks, utils
utils.import_user_module(Namespace(user_dir=str(Path(ppa_plugin.__file__).parent)))
"""


def run(code: str) -> str:
    """What a fresh interpreter writes to standard output."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout


def loaded(code: str) -> set[str]:
    """The packages and modules at the top level that are imported after `code`."""
    return set(json.loads(run(f"{code}\n{LOADED}").splitlines()[-1]))


@pytest.mark.parametrize(
    ("module", "lines"),
    [
        ("ppa_plugin.evaluation.report.cli", [["--help"], ["--mistyped"]]),
        ("ppa_plugin.evaluation.cli", [["--help"], ["classify", "--help"], ["suite", "--mistyped"]]),
        ("ppa_plugin.convert.cli", [["--help"], ["extend", "--help"], ["to-hf", "--mistyped"]]),
        ("ppa_preprocess.cli", [["--help"], ["verify", "--help"], ["all", "--mistyped"]]),
    ],
)
def test_help_and_mistyped_flags_wait_for_no_library(module, lines):
    code = f"""
from {module} import main
for line in {lines}:
    try:
        main(line)
    except SystemExit as end:
        assert end.code == (0 if "--help" in line else 2), line
"""
    assert not loaded(code) & HEAVY


def test_the_report_needs_neither_torch_nor_fairseq():
    assert not loaded("import ppa_plugin.evaluation.report.command") & {"torch", "fairseq", "transformers", "sklearn"}


@pytest.mark.parametrize(
    "code",
    ["import fairseq, ppa_plugin", f"import ppa_plugin\n{USER_DIR}", "import ppa_plugin; ppa_plugin.register()"],
    ids=["after fairseq", "before fairseq and its --user-dir", "by hand"],
)
def test_the_plugin_is_registered_with_fairseq(code):
    assert run(code + REGISTERED).splitlines()[-1] == "[True, True, True]"


def test_the_plugin_alone_imports_no_fairseq():
    assert not loaded("import ppa_plugin; '/nowhere' in ppa_plugin.__path__") & HEAVY
