#!/usr/bin/env bash
# 3_train.sh on several machines without SLURM, by torchrun. On each of them, with its own NODE_RANK from 0 on:
#     GROUP=south_east_asian MASTER=node0 NODES=2 NODE_RANK=0 examples/slurm/torchrun.sh
# GPUs only: under torchrun on a CPU every process trains alone (docs/footguns.md).
set -euo pipefail
: "${NODES:=1}" "${NODE_RANK:=0}" "${GPUS:=4}" "${MASTER:=localhost}" "${PORT:=29500}"

RANKS=$((NODES * GPUS))
export LAUNCHER="torchrun --nnodes $NODES --node_rank $NODE_RANK --nproc_per_node $GPUS \
    --master_addr $MASTER --master_port $PORT"
# 512 pairs an update, however many GPUs there are
PAIRS=$((512 / RANKS < 128 ? 512 / RANKS : 128))
exec "$(dirname "$0")/../recipe/3_train.sh" --distributed-world-size "$RANKS" \
    --batch-size "$PAIRS" --update-freq "$((512 / (PAIRS * RANKS)))" "$@"
