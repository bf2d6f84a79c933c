#!/usr/bin/env bash
# Post-training with the values of the paper's appendix A, on one machine with four GPUs: 4 x 128 = 512 pairs an update,
# of which 64 contrast with one another and 16 share a mean of masked LM, as in the paper's 4 x 16 x 8. SEQ pools layer 8,
# the default for 12 layers. Resumes with the same command. Flags of yours come last and win:
#     3_train.sh --clip-norm 0 --retrieval-data data/eval/tatoeba
# LAUNCHER starts fairseq-train on several machines, see ../slurm.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

DATA=$(shards)
reads "$DATA" "$CONVERTED/model.pt"
writes "$CHECKPOINTS" "$RUN/tensorboard"
# shellcheck disable=SC2086  # LAUNCHER is a command with its flags
exec ${LAUNCHER:-} "$(command -v fairseq-train)" "$DATA" --user-dir "$(ppa-user-dir)" \
    --task translit_alignment --mask-prob 0.15 --mask-keep 0.1 --mask-random 0.1 --max-positions 512 \
    --criterion translit_alignment --mlm-weight 1 --seq-weight 1 --tlm-weight 1 \
    --seq-pooling mean --seq-similarity dot --seq-temperature 1 --seq-negatives 64 --mlm-group 16 \
    --arch "$ARCH" --finetune-from-model "$CONVERTED/model.pt" \
    --optimizer fused_adamw --adam-betas '(0.9, 0.999)' --adam-eps 1e-8 --weight-decay 0.01 --clip-norm 1.0 \
    --lr 2e-5 --lr-scheduler polynomial_decay --warmup-updates 0 --max-update "$MAX_UPDATE" \
    --batch-size 128 --update-freq 1 --fp16 --seed 1 \
    --save-dir "$CHECKPOINTS" --save-interval-updates 2000 --no-epoch-checkpoints \
    --tensorboard-logdir "$RUN/tensorboard" "$@"
