#!/usr/bin/env bash
# Runs one ascertain command over nodes that ssh reaches, started from the machine that leads:
#   deploy/ssh.sh node1,node2 qualify my.toml
# Needs ascertain at the same path on every node, and ssh without a password. The key goes over ssh
# and lies on the node only while the agent runs.
#
#   ASCERTAIN         the program, here and there (default: ascertain beside this script's folder)
#   ASCERTAIN_LISTEN  where this machine listens (default: tcp://*:5757)
#   ASCERTAIN_JOIN    how nodes reach it, when its host's name does not tell them
#   ASCERTAIN_SSH     the ssh command (default: ssh -o BatchMode=yes)
#   ASCERTAIN_AGENT   more flags for the agents, such as "--device npu:0"
set -u
[ $# -ge 2 ] || { sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" | head -n -1; exit 64; }
nodes="$1"
shift
here="$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)"
program="${ASCERTAIN:-$here/ascertain}"
ssh="${ASCERTAIN_SSH:-ssh -o BatchMode=yes}"
folder="$(mktemp -d)"
key="$folder/key"
agents=()
trap 'for pid in "${agents[@]}"; do kill "$pid" 2>/dev/null; done; rm -rf "$folder"' EXIT

"$program" "$@" --nodes "$nodes" --listen "${ASCERTAIN_LISTEN:-tcp://*:5757}" --key "$key" &
lead=$!
trap 'kill -TERM $lead 2>/dev/null' TERM INT
while [ ! -s "$key" ]; do
  kill -0 "$lead" 2>/dev/null || { wait "$lead"; exit $?; }
  sleep 0.1
done

# The key comes on standard input, so that it stands in no list of processes.
remote='umask 077; key="$(mktemp)" || exit 70; trap "rm -f \"\$key\"" EXIT; cat >"$key"; '
for node in ${nodes//,/ }; do
  join="${ASCERTAIN_JOIN:+--join $ASCERTAIN_JOIN}"
  $ssh "$node" "$remote"' '"$(printf '%q' "$program") agent --key \"\$key\" --node $node $join ${ASCERTAIN_AGENT:-}" <"$key" &
  agents+=($!)
done
wait "$lead"
status=$?
while kill -0 "$lead" 2>/dev/null; do wait "$lead"; status=$?; done
exit "$status"
