#!/usr/bin/env bash
# Tables and plots of the results.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../settings.sh"

reads "$RUN/results.jsonl"
writes "$RUN/report"
ppa-report "$RUN/results.jsonl" --output "$RUN/report" "$@"
