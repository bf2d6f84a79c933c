#!/usr/bin/env bash
# As 3_train.sh on one GPU with 40 GB: 256 x 2 = 512 pairs an update. On one with 24 GB, the same training:
#     3_train_one_gpu.sh --batch-size 128 --update-freq 4
set -euo pipefail
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}

exec "$(dirname "$0")/3_train.sh" --batch-size 256 --update-freq 2 "$@"
