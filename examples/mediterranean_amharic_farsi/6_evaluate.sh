#!/usr/bin/env bash
# The paper's tasks, sources and seeds, base and aligned model; what is finished is skipped, so it resumes.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../settings.sh"

reads "$HERE/suite.yaml" "$RUN/models" "$EVAL"
writes "$RUN/results.jsonl"
ppa-evaluate suite --config "$HERE/suite.yaml" --output "$RUN/results.jsonl" "$@"
