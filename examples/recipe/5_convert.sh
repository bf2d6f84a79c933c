#!/usr/bin/env bash
# A checkpoint to the directory that Transformers loads; CHECKPOINT is the one that 4_select.sh put first, or
# else the last.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
: "${CHECKPOINT:=$CHECKPOINTS/checkpoint_last.pt}"
: "${MODEL:=$RUN/models/aligned}"

reads "$CHECKPOINT"
writes "$MODEL"
ppa-convert to-hf "$CHECKPOINT" "$MODEL" "$@"
