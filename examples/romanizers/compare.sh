#!/usr/bin/env bash
# Post-trainings that differ in the romanizer alone, and sentence retrieval with each; `shuffled`, in which every sentence
# has the romanization of another one of its language, shows what the romanizations have to do with it.
#     BASE=e5 CORPUS=corpus EVAL=data/eval/bible examples/romanizers/compare.sh --cpu     (flags go to fairseq-train)
set -euo pipefail
: "${BASE:=intfloat/multilingual-e5-small}"   # the encoder, on the hub or in a local directory
: "${SIZES:=--encoder-layers 12 --encoder-embed-dim 384 --encoder-ffn-embed-dim 1536}"   # as ppa-convert prints them
: "${CORPUS:=corpus}"                         # LANG.txt, a sentence a line
: "${EVAL:=data/eval/bible}"
: "${TASK:=bible}"
: "${SOURCES:=eng_Latn,kor_Hang,zho_Hani}"
: "${TARGETS:=kor_Hang,zho_Hani,lzh_Hani,mya_Mymr}"
: "${UPDATES:=16}"
: "${OUT:=runs/romanizers}"
here=$(dirname "$0")
shopt -s nullglob

ppa-convert to-fairseq "$BASE" "$OUT/start" --overwrite
spm="$OUT/start/sentencepiece.bpe.model"
for name in uroman pypinyin pythainlp; do
    ppa-preprocess all --config "$here/$name.yaml" --input "$CORPUS" --spm "$spm" --output "$OUT/$name" \
        --cache "$OUT/romanized"
done

measure() {
    ppa-evaluate retrieval --model "$1" --name "$2" --data "$EVAL" --task "$TASK" --sources "$SOURCES" \
        --targets "$TARGETS" --layer 8 --output "$OUT/results.jsonl"
}
train() {  # name, pairs, flags
    fairseq-train "$OUT/$2/data-bin/shard00" --user-dir "$(ppa-user-dir)" --task translit_alignment \
        --criterion translit_alignment --arch glot500_base $SIZES --finetune-from-model "$OUT/start/model.pt" \
        --mlm-weight 0 --tlm-weight 0 --seq-layer 8 --batch-size 128 --seq-negatives 64 --max-update "$UPDATES" \
        --optimizer fused_adamw --adam-betas '(0.9, 0.999)' --weight-decay 0.01 --clip-norm 1.0 \
        --lr 2e-5 --lr-scheduler polynomial_decay --warmup-updates 0 --seed 1 --log-format json --log-interval 2 \
        --disable-validation --no-epoch-checkpoints --save-dir "$OUT/checkpoints/$1" "${@:3}"
    ppa-convert to-hf "$OUT/checkpoints/$1/checkpoint_last.pt" "$OUT/models/$1" --overwrite
    measure "$OUT/models/$1" "$1"
}
rm -f "$OUT/results.jsonl"   # of an earlier run: all of it is measured again
measure "$BASE" encoder
for name in uroman pypinyin pythainlp; do train $name $name "$@"; done
train shuffled uroman --shuffle-pairs "$@"
ppa-report "$OUT/results.jsonl" --baseline encoder --output "$OUT/report"
