#!/usr/bin/env bash
# TransMI (arXiv 2405.09913) beside the encoder as it comes: its vocabulary romanized and merged into it, nothing trained,
# and sentence retrieval on text as it is and on the same text romanized.
#     BASE=cis-lmu/glot500-base EVAL=data/eval/bible examples/transmi/transmi.sh     (flags go to ppa-evaluate)
set -euo pipefail
: "${BASE:=cis-lmu/glot500-base}"          # the encoder, on the hub or in a local directory
: "${EVAL:=data/eval/bible}"               # files as Glot500 names them
: "${TASK:=bible}"
: "${SOURCES:=eng_Latn,fas_Arab,ell_Grek,heb_Hebr}"
: "${OUT:=runs/transmi}"

for merge in mean max; do
    ppa-convert extend "$BASE" "$OUT/$merge" --init "$merge" --overwrite
    ppa-convert to-hf "$OUT/$merge/model.pt" "$OUT/transmi-$merge" --overwrite
done
for input in orig latn; do
    for model in "$BASE" "$OUT/transmi-mean" "$OUT/transmi-max"; do
        ppa-evaluate retrieval --model "$model" --data "$EVAL" --task "$TASK" --sources "$SOURCES" \
            --input "$input" --output "$OUT/results.jsonl" "$@"
    done
done
ppa-report "$OUT/results.jsonl" --baseline "$(basename "$BASE")" --output "$OUT/report"
