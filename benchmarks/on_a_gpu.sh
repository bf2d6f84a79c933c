#!/usr/bin/env bash
# Every figure of training on a GPU in one go, the most telling first, in some ten minutes:
#     benchmarks/on_a_gpu.sh SHARD OUT
# SHARD is a shard made by ppa-preprocess, with dict.txt beside it; reports and logs go to OUT. A part that fails or takes
# longer than its limit is said, and the next one begins. python3 has to find torch, fairseq and this project's packages,
# installed or on PYTHONPATH. DEVICE=cpu and small sizes try the script out.
set -uo pipefail
: "${DEVICE:=cuda}"
: "${ARCH:=glot500_base}"
: "${VOCABULARY:=401145}"
: "${PAIRS:=256}"           # of a micro-batch
: "${UPDATES:=200}"         # of which FP16's losses are set beside FP32's
: "${TESTS:=tests}"         # where the tests marked gpu are
: "${PARAMETERS:=394524153}"
shard=$(cd "$1" && pwd) && mkdir -p "$2" && out=$(cd "$2" && pwd) && cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
half=(fp16 bf16) first=fp16
[ "$DEVICE" = cuda ] || { half=(fp32) first=fp32; }
data=(--data-bin "$shard" --arch "$ARCH" --vocabulary "$VOCABULARY")
step=("${data[@]}" --device "$DEVICE" --precision "$first" --pairs "$PAIRS")

part() { # NAME SECONDS COMMAND: what it says goes to the terminal and to OUT/NAME.log, warnings to OUT/NAME.err
    local status=0
    timeout "$2" "${@:3}" 2> "$out/$1.err" | tee "$out/$1.log" || status=$?
    [ $status = 0 ] || { tail -n 3 "$out/$1.err" | cut -c1-300; echo "$1: exit code $status, at most $2 s"; }
    echo "[$SECONDS s] $1"
}
bench() { part "$1" "$2" python3 "benchmarks/$3.py" "${@:4}"; }

part tests 120 python3 -m pytest -q -m gpu "$TESTS"
bench train 270 fairseq_train "${data[@]}" --rounds 1 --json "$out/train.json"
bench profile 60 profile_step "${step[@]}"
bench step 90 train_throughput "${step[@]}" --rounds 3 --json "$out/step.json"
bench losses 120 half_precision "${data[@]}" --precisions "${half[@]}" --updates "$UPDATES" --json "$out/losses.json"
bench optimizer 30 optimizer --device "$DEVICE" --parameters "$PARAMETERS"
bench head 60 head --device "$DEVICE" --precision "$first" --rows 7056 --vocabulary "$VOCABULARY"
bench grid 150 train_throughput "${step[@]}" --no-baseline --grid --rounds 2 --json "$out/grid.json"
