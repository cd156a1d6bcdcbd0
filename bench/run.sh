#!/usr/bin/env bash
# Makes bench/RESULTS.md of its parts in bench/parts. `run.sh` measures all of
# them anew, `run.sh node turns` those alone: some take minutes, and one.
set -euo pipefail
cd "$(dirname "$0")/.."

part_turns() { # 10: turns, whole processes and memory, with 50 and with 5,000 pods
  local sandbox
  sandbox=$(cd sandbox && go run ./build)
  go build -o bin/bot ./cmd/bot
  echo "## Turns, whole processes and memory"
  echo
  go run ./bench -sandbox "$sandbox" -bot bin/bot -pods 15
  go run ./bench -sandbox "$sandbox" -bot bin/bot -pods 5000
}

part_recogniser() { # 20
  echo "## The recogniser"
  echo
  go run ./bench -recogniser
}

part_killed() { # 30
  echo "## Killed at random"
  echo
  bench/kill.sh "${KILLS:-40}"
}

part_node() { # 40: needs root
  echo "## A roll-out under load, on a real node"
  echo
  echo "Made by \`make test-node\` ($(date -u +%F)): kubelet, kube-proxy and containerd, 3 pods, 8 workers through the Service; the last two runs of five keep their connections."
  echo
  e2e/node/run.sh 2>/dev/null | sed -n 's/^ *rollout_test.go:[0-9]*: \(.*, .*: .*\)/- \1/p'
}

part_diagnose() { # 50: a quarter of an hour; FAULTS="none dns" asks of those alone, WITHIN=8m begins no other after that
  local sandbox prometheus loki keep
  sandbox=$(cd sandbox && go run ./build)
  prometheus=$(cd sandbox && go run ./build prometheus | tail -1)
  loki=$(cd sandbox && go run ./build loki | tail -1)
  keep=$(mktemp -d)
  go build -o bin/bot ./cmd/bot
  echo "## Why is it slow?"
  echo
  echo "Made by \`bench/run.sh diagnose\` ($(date -u +%F)): a sandbox for each fault, in which it began eleven minutes before, with a real Prometheus and a real Loki; then the question, to \`bot diagnose\` (the verdict) and to a \`bot serve\` that runs (the turn), within the deadline that is configured by default, 2 s."
  echo
  go run ./bench -diagnose -sandbox "$sandbox" -prometheus "$prometheus" -loki "$loki" -bot bin/bot -keep "${KEEP:-$keep}" -within "${WITHIN:-0}" ${FAULTS:-}
}

part_large() { # 55: ten minutes; PODS and LOG_MIB to have less
  local sandbox prometheus loki load
  load=$(cut -d' ' -f1 /proc/loadavg)
  sandbox=$(cd sandbox && go run ./build)
  prometheus=$(cd sandbox && go run ./build prometheus | tail -1)
  loki=$(cd sandbox && go run ./build loki | tail -1)
  go build -o bin/bot ./cmd/bot
  go build -o bin/bench ./bench
  echo "## Why is it slow, with much to look through?"
  echo
  echo "Made by \`bench/run.sh large\` ($(date -u +%F)): one sandbox with a real Prometheus that has a day of history and a real Loki; a \`bot serve\`, started anew for each fault so that it has asked the back-ends nothing yet, is asked once about each workload, within the deadline of 2 s that is configured by default. The faults follow each other within minutes, so an answer may speak of the one before: what is measured here is the time. Everything runs on the same two cores; load of the machine before: $load."
  echo
  bin/bench -diagnose -sandbox "$sandbox" -prometheus "$prometheus" -loki "$loki" -bot bin/bot -pods "${PODS:-5000}" -log-volume "${LOG_MIB:-1100}"
}

part_stern() { # 60
  local sandbox load
  load=$(cut -d' ' -f1 /proc/loadavg)
  sandbox=$(cd sandbox && go run ./build)
  go build -o bin/bench ./bench
  (cd bench/stern && go build -o ../../bin/stern github.com/stern/stern)
  echo "## Logs of 50 pods as one stream"
  echo
  echo "Made by \`bench/run.sh stern\` ($(date -u +%F)): $(cd bench/stern && go list -m github.com/stern/stern), and firstmate's reader of pod logs, in turn, against one API server; both print to a pipe whose other end checks every line. Load of the machine before: $load."
  echo
  bin/bench -sandbox "$sandbox" -stern bin/stern
  cat bench/stern/notes.md
}

part_phone() { # 70: a quarter of an hour
  make -s speech
  echo "## Commands by telephone"
  echo
  echo "Made by \`bench/run.sh phone\` ($(date -u +%F)): 60 commands (\`bench/phone/commands.txt\`) and 15 sentences that are none, said by four voices of flite at three speeds, through a telephone's band (300 to 3400 Hz) and 8 kHz µ-law, into the offline engine, with 30 names and 4 namespaces to expect. Right: intent and slots as of the typed sentence. Asked again: the two ways to listen, by grammar and by trigram, did not mean the same, so \"did you say …?\" is asked. Wrong: it was sure, and of something else; an act among these is still read back, and agreed to or not. The grammar (\`intents/en/said.yaml\`) was written by who knew the commands, and all voices are synthetic: people will be asked again more often: the commands of somebody else (\`bench/phone/fresh.txt\`) were written down by who had not seen it."
  echo
  go run ./bench -phone
}

part_call() { # 80: three minutes
  echo "## The 3 a.m. call"
  echo
  echo "Made by \`make demo ARGS=--story=3am\` ($(date -u +%F)), spoken at the pace of flite; the budget from the ring to the end is 60 s without the roll-out."
  echo
  (cd sandbox && go run ./demo --story=3am) | sed -n 's/^ *\(.* s later\|from the ring.*\)$/- \1/p'
}

part_llm() { # 90
  echo "## The language model"
  echo
  echo "Made by \`go test ./internal/llm -run xxx -bench .\`, with a model on loopback that takes no time: only what firstmate adds. How often a"
  echo "model is right was not measured: there was none here to measure with."
  echo
  echo "| what | measured | budget | |"
  echo "|---|---|---|---|"
  go test ./internal/llm -run xxx -bench . -benchtime 2s |
    awk '/^BenchmarkUnderstand/ {printf "| a sentence for the fall-back: masked, asked, read, held to the catalogue | %.2f ms |  |  |\n", $3/1e6}
         /^BenchmarkCheck/ {printf "| a wording, checked | %.2f ms |  |  |\n", $3/1e6}'
}

parts() { sed -n 's/^part_\([a-z]*\)() { # \([0-9]*\).*/\2-\1/p' "$0"; }

for p in $(parts); do
  if [ $# = 0 ] || [[ " $* " == *" ${p#*-} "* ]]; then
    "part_${p#*-}" >"bench/parts/$p.new"
    mv "bench/parts/$p.new" "bench/parts/$p.md"
  fi
done
{
  echo "# Measured"
  echo
  echo "Made by \`make bench\`, or part by part by \`bench/run.sh NAME\`, on 2 cores, $(go version | cut -d' ' -f3), $(uname -sm)."
  echo "Ratios are paired: the two commands run in turn, and the ratio is taken pair by pair (median, least … greatest)."
  echo "“kubectl” is the kubectl 1.36 that the sandbox binary carries."
  for f in bench/parts/*.md; do
    echo
    cat "$f"
  done
  cat bench/notes.md
} >bench/RESULTS.md
echo "bench/RESULTS.md is new" >&2
