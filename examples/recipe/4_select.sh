#!/usr/bin/env bash
# Ranks the checkpoints, one every 2,000 updates, by top-10 retrieval on Tatoeba from English. To convert the first one
# in the same go: 4_select.sh --best-to runs/GROUP/models/aligned
set -euo pipefail
. "$(dirname "$0")/settings.sh"

reads "$CHECKPOINTS" "$EVAL/tatoeba"
writes "$RUN/selection.jsonl"
ppa-evaluate select --checkpoints "$CHECKPOINTS" --data "$EVAL/tatoeba" --output "$RUN/selection.jsonl" "$@"
