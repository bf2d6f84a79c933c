#!/usr/bin/env bash
# As 3_train.sh on one GPU: 16 x 32 = 512 pairs an update. Accumulation adds no negatives, so that a sentence is
# contrasted within 16 pairs, not within the 64 of four GPUs; where the memory allows it, this keeps the 64:
#     3_train_one_gpu.sh --batch-size 64 --update-freq 8
set -euo pipefail
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}

exec "$(dirname "$0")/3_train.sh" --update-freq 32 "$@"
