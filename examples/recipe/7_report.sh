#!/usr/bin/env bash
# Tables and plots of the results, the paper's figures beside them. With the checkpoints of 4_select.sh, as a curve:
#     7_report.sh runs/GROUP/selection.jsonl
# Differences are of models that are called as in the paper, Glot500, MLM+SEQ+TLM or mlm_seq_tlm: a name is that of the
# directory in RUN/models.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

manifest=$RUN/data-bin/manifest.json
reads "$RUN/results.jsonl" "$manifest" "$EXAMPLES/paper_results.csv" "$EXAMPLES/paper_counts.csv"
writes "$RUN/report"
[ -f "$manifest" ] && set -- --manifest "$manifest" "$@"
ppa-report --output "$RUN/report" --baseline base --paper "$EXAMPLES/paper_results.csv" \
    --paper "$EXAMPLES/paper_counts.csv" "$RUN/results.jsonl" "$@"
