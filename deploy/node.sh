#!/usr/bin/env bash
# Runs one ascertain command over all nodes of a job. Any launcher starts it once per node:
#
#   srun --ntasks-per-node=1            deploy/node.sh qualify my.toml
#   mpirun --map-by ppr:1:node          deploy/node.sh qualify my.toml
#   torchrun --no-python --nnodes=N ... deploy/node.sh qualify my.toml
#
# The first rank leads the campaign and is an agent too; the others are agents. The key goes through
# ASCERTAIN_SHARED, a folder that all nodes see (default: the folder it is started in).
#
#   ASCERTAIN         the program (default: ascertain beside this script's folder)
#   ASCERTAIN_LISTEN  where the first rank listens (default: tcp://*:*, any free port)
#   ASCERTAIN_JOIN    how nodes reach it, where its host's name does not tell them
#   ASCERTAIN_WAIT    how long nodes may take to come (default: 5m)
#   ASCERTAIN_AGENT   more flags for the agents, such as "--device npu:0 --device npu:1"
#
# Exit code: on the first rank that of the command, so the verdict's; elsewhere 0 when the campaign
# ended as it should.
set -u

first_of() { local value; for value in "$@"; do [ -n "$value" ] && { echo "$value"; return; }; done; }

[ $# -gt 0 ] || { sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" | head -n -1; exit 64; }

# Which launcher it is decides what rank, size and job are called.
if [ -n "${TORCHELASTIC_RUN_ID:-}" ]; then
  rank="$GROUP_RANK" size="$GROUP_WORLD_SIZE" local_rank="$LOCAL_RANK" job="torch-$TORCHELASTIC_RUN_ID"
elif [ -n "${OMPI_COMM_WORLD_RANK:-}" ]; then
  rank="$OMPI_COMM_WORLD_RANK" size="$OMPI_COMM_WORLD_SIZE" local_rank=0
  job="mpi-$(first_of "${PMIX_NAMESPACE:-}" "${OMPI_MCA_ess_base_jobid:-}" job)"
elif [ -n "${SLURM_PROCID:-}" ]; then
  rank="$SLURM_PROCID" size="$SLURM_NTASKS" local_rank="$SLURM_LOCALID" job="slurm-$SLURM_JOB_ID.$SLURM_STEP_ID"
elif [ -n "${JOB_COMPLETION_INDEX:-}" ]; then
  rank="$JOB_COMPLETION_INDEX" size="${ASCERTAIN_NODES:?how many pods the job has}" local_rank=0 job="kubernetes-${HOSTNAME%-*}"
else
  echo "node.sh: neither Slurm, Open MPI, torchrun nor a Kubernetes job started this" >&2
  exit 64
fi
# A node has one agent, whatever else the launcher starts there.
[ "$local_rank" = 0 ] || exit 0

here="$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)"
program="${ASCERTAIN:-$here/ascertain}"
wait="${ASCERTAIN_WAIT:-5m}"
shared="${ASCERTAIN_SHARED:-$PWD}"
# Characters that no launcher's job name should put into a file's name.
key="$shared/.ascertain-${job//[^A-Za-z0-9._-]/_}.key"

# Several nodes on one machine, as in a rehearsal, are told apart by their rank.
node="$(first_of "${ASCERTAIN_NODE:-}" "${SLURMD_NODENAME:-}" "${NODE_NAME:-}" "$(hostname)")"
[ -z "${ASCERTAIN_NODE_RANKED:-}" ] || node="$node-$rank"

agent() { "$program" agent --key "$key" ${ASCERTAIN_JOIN:+--join "$ASCERTAIN_JOIN"} --node "$node" --wait "$wait" ${ASCERTAIN_AGENT:-}; }

if [ "$rank" != 0 ]; then
  agent
  exit
fi
rm -f "$key"
trap 'rm -f "$key"' EXIT
agent &
agent_pid=$!
"$program" "$@" --agents "$size" --listen "${ASCERTAIN_LISTEN:-tcp://*:*}" --key "$key" --wait "$wait" &
lead_pid=$!
# A launcher that ends the job ends both.
trap 'kill -TERM $lead_pid 2>/dev/null' TERM INT
wait "$lead_pid"
status=$?
# A signal ends wait; the command then still has its evidence to close.
while kill -0 "$lead_pid" 2>/dev/null; do wait "$lead_pid"; status=$?; done
kill -TERM "$agent_pid" 2>/dev/null
wait "$agent_pid" 2>/dev/null
exit "$status"
