#!/usr/bin/env bash
# The four objectives of the paper's Tables 4 and 5 on one group, with equal updates: trained, converted, evaluated,
# reported. A weight of 0 leaves a term and its computation out. Steps 1 and 2 of the group come first.
#     GROUP=south_east_asian examples/ablations/ablations.sh --update-freq 4     (flags go to each training)
set -euo pipefail
. "$(dirname "$0")/../recipe/settings.sh"

weights() {
    case $1 in
        mlm) echo --seq-weight 0 --tlm-weight 0 ;;
        mlm_seq) echo --seq-weight 1 --tlm-weight 0 ;;
        mlm_tlm) echo --seq-weight 0 --tlm-weight 1 ;;
        mlm_seq_tlm) echo --seq-weight 1 --tlm-weight 1 ;;
    esac
}

: "${OBJECTIVES:=mlm mlm_seq mlm_tlm mlm_seq_tlm}"
for objective in $OBJECTIVES; do
    echo "== $objective: $(weights "$objective")"
    # shellcheck disable=SC2046  # flags and values, each a word
    CHECKPOINTS=$RUN/$objective/checkpoints "$RECIPE/3_train.sh" $(weights "$objective") \
        --tensorboard-logdir "$RUN/$objective/tensorboard" "$@"
    CHECKPOINT=$RUN/$objective/checkpoints/checkpoint_last.pt MODEL=$RUN/models/$objective \
        "$RECIPE/5_convert.sh" --overwrite
done
"$RECIPE/6_evaluate.sh"
"$RECIPE/7_report.sh"
