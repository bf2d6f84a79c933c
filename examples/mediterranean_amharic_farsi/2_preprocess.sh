#!/usr/bin/env bash
# Text -> sample -> romanization -> SentencePiece -> shards, verified. Resumes where it was stopped.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../settings.sh"

reads "$HERE/group.yaml" "$CORPUS" "$CONVERTED/sentencepiece.bpe.model"
writes "$RUN: text/ pairs/ encoded/ data-bin/shard00 ... dropped.jsonl" "$ROMANIZED"
mkdir -p "$ROMANIZED"
ppa-preprocess all --config "$HERE/group.yaml" --input "$CORPUS" --spm "$CONVERTED/sentencepiece.bpe.model" \
    --output "$RUN" --cache "$ROMANIZED" "$@"
