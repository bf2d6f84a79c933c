#!/usr/bin/env bash
# The run of the authors' released code, where it differs from the paper: half the weight of SEQ and no gradient through
# its gather, 1/W of it on W GPUs; long TLM sequences cut at their end; no weight decay; its micro-batches, as what a
# rank's gradient is depends on them.
#     GROUP=south_east_asian examples/ablations/released.sh
set -euo pipefail
. "$(dirname "$0")/../recipe/settings.sh"

CHECKPOINTS=$RUN/released/checkpoints "$RECIPE/3_train.sh" --seq-weight 0.5 --seq-gather detached \
    --batch-size 16 --update-freq 8 --tlm-truncation right --weight-decay 0.0 --clip-norm 1.0 --tensorboard-logdir "$RUN/released/tensorboard" "$@"
