#!/usr/bin/env bash
# Tables and plots of the results, the paper's figures beside them. With the checkpoints of 4_select.sh, as a curve:
#     7_report.sh runs/GROUP/selection.jsonl
set -euo pipefail
. "$(dirname "$0")/settings.sh"

reads "$RUN/results.jsonl" "$EXAMPLES/paper_results.csv"
writes "$RUN/report"
ppa-report --output "$RUN/report" --baseline base --paper "$EXAMPLES/paper_results.csv" "$RUN/results.jsonl" "$@"
