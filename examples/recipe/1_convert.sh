#!/usr/bin/env bash
# The base model from Hugging Face's format to fairseq's, and once back: the directory that evaluation compares with.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

reads "$BASE"
writes "$CONVERTED: model.pt dict.txt sentencepiece.bpe.model hf/" "$RUN/models/base"
if [ -e "$CONVERTED/model.pt" ]; then
    echo "have   $CONVERTED"
else
    ppa-convert to-fairseq "$BASE" "$CONVERTED"
fi
ppa-convert to-hf "$CONVERTED/model.pt" "$RUN/models/base" "$@"
