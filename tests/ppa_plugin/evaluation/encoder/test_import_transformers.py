"""Transformers imports in the environment that `make setup` makes, without a word of this project."""

import subprocess
import sys


def test_a_users_own_import_works():
    command = "from transformers import AutoModelForMaskedLM, AutoTokenizer; print(AutoModelForMaskedLM.__name__)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "AutoModelForMaskedLM\n"), done.stderr[-500:]
