#!/usr/bin/env bash
# The paper's tasks, sources and seeds with every model in RUN/models; what is finished is skipped, so it resumes.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

reads "$OF_GROUP/tasks.yaml" "$RUN/models" "$EVAL"
writes "$RUN/suite.yaml" "$RUN/results.jsonl"
ln -sfn "$(cd "$EVAL" && pwd)" "$RUN/eval"
{
    echo "models:"
    for model in "$RUN"/models/*/; do
        echo "- models/$(basename "$model")"
    done
    cat "$OF_GROUP/tasks.yaml"
} > "$RUN/suite.yaml"
ppa-evaluate suite --config "$RUN/suite.yaml" --output "$RUN/results.jsonl" "$@"
