#!/usr/bin/env bash
# Makes bench/RESULTS.md: the recogniser by itself, then turns, whole processes
# and memory against the sandbox, with 50 and with 5,000 pods.
set -euo pipefail
cd "$(dirname "$0")/.."
sandbox=$(cd sandbox && go run ./build)
go build -o bin/bot ./cmd/bot
out=$(mktemp)
trap 'rm -f "$out"' EXIT
{
  echo "# Measured"
  echo
  echo "Made by \`make bench\` ($(date -u +%F), $(nproc) cores, $(go version | cut -d' ' -f3), $(uname -sm))."
  echo "Ratios are paired: the two commands run in turn, and the ratio is taken pair by pair (median, least … greatest)."
  echo "“kubectl” is the kubectl 1.36 that the sandbox binary carries."
  echo
  echo "## Turns, whole processes and memory"
  echo
  go run ./bench -sandbox "$sandbox" -bot bin/bot -pods 15
  go run ./bench -sandbox "$sandbox" -bot bin/bot -pods 5000
  echo "## The recogniser"
  echo
  go run ./bench -recogniser
  echo "## Killed at random"
  echo
  bench/kill.sh "${KILLS:-40}"
} >"$out"
cat "$out" bench/notes.md >bench/RESULTS.md
echo "bench/RESULTS.md is new" >&2
