#!/usr/bin/env bash
# What can be known before training: how much text there is, and how BASE's vocabulary copes with it before and after
# romanization. Steps 1 and 2 come first; ../groups/README.md says how to read the numbers.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

reads "$OF_GROUP/group.yaml" "$CORPUS" "$RUN/pairs" "$RUN/models/base"
writes "$RUN/analysis.jsonl"
ppa-preprocess sample --config "$OF_GROUP/group.yaml" --input "$CORPUS" --dry-run
ppa-preprocess verify --output "$RUN" --plan --arch "$ARCH"
ppa-evaluate vocabulary --model "$RUN/models/base" --pairs "$RUN/pairs" --output "$RUN/analysis.jsonl" "$@"
