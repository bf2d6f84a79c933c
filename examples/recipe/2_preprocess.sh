#!/usr/bin/env bash
# Text -> sample -> romanization -> SentencePiece -> shards, verified. Resumes where it was stopped.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

reads "$OF_GROUP/group.yaml" "$CORPUS" "$CONVERTED/sentencepiece.bpe.model"
writes "$RUN: text/ pairs/ encoded/ data-bin/shard00 ... dropped.jsonl" "$ROMANIZED"
mkdir -p "$ROMANIZED"
ppa-preprocess all --config "$OF_GROUP/group.yaml" --input "$CORPUS" --spm "$CONVERTED/sentencepiece.bpe.model" \
    --output "$RUN" --cache "$ROMANIZED" "$@"
