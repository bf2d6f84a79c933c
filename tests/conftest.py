"""One thread a process: the models are tiny, and threads that wait for each other cost more than they bring."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the commands that tests start read it

import torch

torch.set_num_threads(1)
