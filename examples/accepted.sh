#!/usr/bin/env bash
# Follows a run by its events: prints each module as it is accepted, then the answer.
# usage: examples/accepted.sh "question" DIR
set -euo pipefail
ii=${II:-target/debug/ii}
"$ii" run "$1" --docs "$2" --json | jq -r --unbuffered '
  if .type == "module.proposed" then "planned   \(.spec.question)"
  elif .type == "module.accepted" then "accepted  \(.module)  receipt \(.receipt)"
  elif .type == "attempt.ended" then "sent back \(.module)"
  elif .type == "run.closed" then "\(.outcome)", (.report.sections[].claims[] | "  \(.text)")
  else empty end'
