#!/usr/bin/env bash
# Every figure of training on a GPU, the most telling first:
#     benchmarks/on_a_gpu.sh SHARD OUT [PART ...]
# SHARD is a shard made by ppa-preprocess, with dict.txt beside it; reports and logs go to OUT. All parts take some ten
# minutes, at most a quarter of an hour; with names of PARTs only these. A part that fails or takes longer than its limit
# is said, and the next one begins. python3 has to find torch, fairseq and this project's packages, installed or on
# PYTHONPATH. DEVICE=cpu and small sizes try the script out.
set -uo pipefail
: "${DEVICE:=cuda}"
: "${ARCH:=glot500_base}"
: "${VOCABULARY:=401145}"
: "${PAIRS:=256}"           # of a micro-batch
: "${UPDATES:=200}"         # of which half precision's losses are set beside FP32's
: "${TESTS:=tests}"         # where the tests marked gpu are
: "${PARAMETERS:=394524153}"
: "${BIBLE:=}"              # a directory of the Bible's files, for the speed of evaluation
: "${SOURCES:=eng_Latn,fas_Arab,ell_Grek,heb_Hebr}"   # from which verses are looked for
shard=$(cd "$1" && pwd) && mkdir -p "$2" && out=$(cd "$2" && pwd) && shift 2 || exit 1
[ -z "$BIBLE" ] || BIBLE=$(cd "$BIBLE" && pwd) || exit 1
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
wanted=" ${*:-train tests profile step losses grid optimizer head retrieval} "
half=(fp16 bf16) first=fp16
[ "$DEVICE" = cuda ] || { half=(fp32) first=fp32; }
data=(--data-bin "$shard" --arch "$ARCH" --vocabulary "$VOCABULARY")
step=("${data[@]}" --device "$DEVICE" --precision "$first" --pairs "$PAIRS")
model=(--layers 12 --width 768 --rows "$VOCABULARY")
[ "$ARCH" = glot500_base ] || model=()
# a few small kernels: a pool of compilers takes longer to start, and to end
export TORCHINDUCTOR_COMPILE_THREADS=1
# the files that have such tests and no other: the rest imports what is not needed here
mapfile -t tests < <(grep -rl --include='test_*.py' 'mark\.gpu' "$TESTS")
side_by_side=()
! python3 -c "import xdist" 2> /dev/null || side_by_side=(--numprocesses 4)

part() { # NAME SECONDS COMMAND: what it says goes to the terminal and to OUT/NAME.log, warnings to OUT/NAME.err
    [[ $wanted == *" $1 "* ]] || return 0
    local status=0
    timeout --kill-after 5 "$2" "${@:3}" 2> "$out/$1.err" | tee "$out/$1.log" || status=$?
    [ $status = 0 ] || { tail -n 3 "$out/$1.err" | cut -c1-300; echo "$1: exit code $status, at most $2 s"; }
    echo "[$SECONDS s] $1"
}
bench() { part "$1" "$2" python3 "benchmarks/$3.py" "${@:4}"; }

bench train 200 fairseq_train "${data[@]}" --rounds 1 --json "$out/train.json"
part tests 150 python3 -m pytest -v -m gpu "${side_by_side[@]}" "${tests[@]:-$TESTS/nothing}"
bench profile 45 profile_step "${step[@]}"
bench step 110 train_throughput "${step[@]}" --compile-blocks --rounds 3 --json "$out/step.json"
bench losses 160 half_precision "${data[@]}" --precisions "${half[@]}" --updates "$UPDATES" --json "$out/losses.json"
bench grid 100 train_throughput "${step[@]}" --no-baseline --grid --rounds 2 --json "$out/grid.json"
bench optimizer 20 optimizer --device "$DEVICE" --parameters "$PARAMETERS"
bench head 30 head --device "$DEVICE" --precision "$first" --rows 7056 --vocabulary "$VOCABULARY"
[ -z "$BIBLE" ] || bench retrieval 85 retrieval --data "$BIBLE" --sources "$SOURCES" --command "${model[@]}" \
    --device "$DEVICE"
