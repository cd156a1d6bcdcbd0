#!/usr/bin/env bash
# kill.sh [ACTIONS]: kills bot serve with -9 at random moments of so many actions
# (300), then the leader of two replicas on PostgreSQL in the same way, and looks
# at the cluster, the journal and the audit trail. Prints Markdown. About a second
# an action. The test is e2e/kill_test.go.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
status=0
go test ./e2e -count=1 -timeout 2h -v -run '^TestKilled(AtRandom|LeaderAtRandom)$' -kills "${1:-300}" >"$out" || status=$?
echo "Made by \`bench/kill.sh ${1:-300}\` ($(date -u +%F), $(nproc) cores)."
echo
grep -E '^(--- |    --- )|actions in|    kill_test.go.*(told|generation|ended|skip)|needs|not installed' "$out" | sed -E 's/^ *(--- |kill_test.go:[0-9]+: )?/- /'
echo
[ "$status" = 0 ] || cat "$out" >&2
exit "$status"
