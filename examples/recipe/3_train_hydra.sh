#!/usr/bin/env bash
# 3_train.sh with the recipe in a file, recipe.yaml, for who works with Hydra. Values of yours come last and win:
#     3_train_hydra.sh optimization.lr=[1e-5] common.bf16=true common.fp16=false
set -euo pipefail
. "$(dirname "$0")/settings.sh"

DATA=$(shards)
reads "$DATA" "$CONVERTED/model.pt" "$RECIPE/recipe.yaml"
writes "$CHECKPOINTS" "$RUN/tensorboard"
exec fairseq-hydra-train --config-dir "$RECIPE" --config-name recipe common.user_dir="$(ppa-user-dir)" \
    task.data="$DATA" checkpoint.finetune_from_model="$CONVERTED/model.pt" optimization.max_update="$MAX_UPDATE" \
    checkpoint.save_dir="$CHECKPOINTS" common.tensorboard_logdir="$RUN/tensorboard" "$@"
