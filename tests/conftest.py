"""What holds for every test: one thread a process, and no test fails for being slow.

The models are tiny, and threads that wait for each other cost more than they bring.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the commands that tests start read it

import fairseq  # noqa: F401 - before the plugin, which registers itself with it then, as for --user-dir
import hypothesis
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")
