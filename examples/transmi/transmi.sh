#!/usr/bin/env bash
# TransMI (arXiv 2405.09913) beside the encoder as it comes: its vocabulary romanized and merged into it, nothing trained,
# and sentence retrieval on text as it is and on the same text romanized. What is there is not made or measured again.
#     BASE=cis-lmu/glot500-base EVAL=data/eval/bible examples/transmi/transmi.sh     (flags go to ppa-evaluate suite)
set -euo pipefail
: "${BASE:=cis-lmu/glot500-base}"          # the encoder, on the hub or in a local directory
: "${EVAL:=data/eval/bible}"               # files as Glot500 names them
: "${TASK:=bible}"
: "${SOURCES:=eng_Latn,fas_Arab,ell_Grek,heb_Hebr}"
: "${TARGETS:=}"                           # those that EVAL has, unless some are named
: "${LAYERS:=}"                            # such as 0,8,12, or all; the paper's unless some are named
: "${OUT:=runs/transmi}"                   # one for each BASE
EVAL=$(cd "$EVAL" && pwd)  # a suite's paths are relative to its file
[ "$LAYERS" = all ] || LAYERS=${LAYERS:+[$LAYERS]}

for merge in mean max; do
    made=$OUT/$merge
    [ -e "$made/model.pt" ] || ppa-convert extend "$BASE" "$made" --init "$merge"
    [ -e "$OUT/transmi-$merge/config.json" ] || ppa-convert to-hf "$made/model.pt" "$OUT/transmi-$merge"
done

name=$(basename "$BASE")
[ -d "$BASE" ] && BASE=$(cd "$BASE" && pwd)
mkdir -p "$OUT"
for input in orig latn; do
    cat > "$OUT/$input.yaml" <<SUITE
models:
- {path: "$BASE", name: "$name"}
- transmi-mean
- transmi-max
tasks:
  $TASK:
    data: "$EVAL"
    sources: [$SOURCES]
    input: $input
    ${TARGETS:+targets: [$TARGETS]}
    ${LAYERS:+layer: $LAYERS}
SUITE
    ppa-evaluate suite --config "$OUT/$input.yaml" --output "$OUT/$input.jsonl" "$@"
done
ppa-report "$OUT/orig.jsonl" "$OUT/latn.jsonl" --baseline "$name" --output "$OUT/report"
