#!/usr/bin/env bash
# The run of the authors' released code, where it differs from the paper: half the weight of SEQ and no gradient through
# its gather, 1/W of it on W GPUs; long TLM sequences cut at their end; no weight decay.
#     examples/ablations/released.sh south_east_asian
set -euo pipefail
EXAMPLES=$(cd "$(dirname "$0")/.." && pwd)
GROUP=${1:?name a group first, such as south_east_asian}
shift
HERE=$EXAMPLES/$GROUP
. "$EXAMPLES/settings.sh"

CHECKPOINTS=$RUN/released/checkpoints "$HERE/3_train.sh" --seq-weight 0.5 --seq-gather detached \
    --tlm-truncation right --weight-decay 0.0 --clip-norm 1.0 --tensorboard-logdir "$RUN/released/tensorboard" "$@"
