#!/usr/bin/env bash
# A Slurm cluster on this machine, for tests: nodes n1 and n2, of one CPU each. Ends with 77 where it cannot be.
#   slurm_cluster.sh start FOLDER [PID]  prints where slurm.conf is once both nodes are idle; should the process PID
#                                        end, the cluster stops by itself
#   slurm_cluster.sh kill FOLDER NODE    as if the machine had gone: nobody hears that its processes ended
#   slurm_cluster.sh stop FOLDER         ends all of it, jobs included; its logs stay in FOLDER/log
set -euo pipefail

skip() { echo "slurm_cluster.sh: $*" >&2; exit 77; }

# The processes of a node, or of the controller, by the name under which they find their configuration: daemons hand
# it on to steps, and these to jobs, in their environment. They share no session or parent.
pids_of() {
  local configuration patterns=()
  for configuration; do patterns+=(-e "SLURM_CONF=$configuration"); done
  { grep -lzxF "${patterns[@]}" /proc/[0-9]*/environ 2>/dev/null || true; } | cut -d / -f 3
}

kill_all() {
  local pids i
  for ((i = 0; i < 100; ++i)); do
    mapfile -t pids < <(pids_of "$@")
    ((${#pids[@]})) || return 0
    # First stopped, lest one of them tell the controller how another ended.
    kill -STOP "${pids[@]}" 2>/dev/null || true
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.02
  done
  echo "slurm_cluster.sh: still there: ${pids[*]}" >&2
  return 1
}

stop() {
  kill_all "$folder"/{controller,n1,n2}.conf
  rm -rf "$folder/munge" "$folder"/spool-n{1,2} # the sockets are in these
}

in_use() {
  awk -v hex="$(printf ':%04X$' "$1")" '$2 ~ hex && $4 == "0A" { found = 1 } END { exit !found }' \
    < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# The first of three ports that nobody listens on, below those that the kernel gives away. Where it begins to look
# depends on the process, so that two clusters that start together differ.
free_ports() {
  local first i
  for ((i = 0; i < 1000; ++i)); do
    first=$((10000 + ($$ + i) % 7000 * 3))
    if ! in_use "$first" && ! in_use $((first + 1)) && ! in_use $((first + 2)); then
      echo "$first"
      return
    fi
  done
  echo "slurm_cluster.sh: no free ports" >&2
  return 1
}

configure() {
  local host port name
  host=$(hostname -s)
  port=$(free_ports)
  mkdir -p "$folder"/{state,spool-n1,spool-n2,log,munge}
  # Small times, so that a node is soon missed, and its job soon started again.
  cat >"$folder/slurm.conf" <<CONF
ClusterName=disagg
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
SlurmdTimeout=5
MessageTimeout=3
ReturnToService=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=1 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
  for name in controller n1 n2; do ln -s slurm.conf "$folder/$name.conf"; done
  # Nothing here needs cgroups; the plugin for the first version is the one that starts without any.
  printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$folder/cgroup.conf"
  (umask 077; head -c 1024 /dev/urandom >"$folder/munge/key")
}

both_idle() {
  [[ $(SLURM_CONF=$folder/slurm.conf timeout 5 sinfo -h -N -o %T 2>/dev/null) == $'idle\nidle' ]]
}

start() {
  local program name
  ((EUID == 0)) || skip "the daemons of Slurm have to be started by root"
  for program in slurmctld slurmd sbatch sinfo munged; do
    command -v "$program" >/dev/null || skip "there is no $program; Debian has it in slurm-wlm and munge"
  done
  [[ -n $(hostname -I) ]] || skip "Slurm needs a network beside the loopback, even on one machine"
  configure
  trap stop EXIT
  if [[ -n ${1-} ]]; then
    # Where the cluster was stopped before, so was tail.
    (SLURM_CONF=$folder/controller.conf tail --pid="$1" -f /dev/null && stop) </dev/null >/dev/null 2>&1 &
  fi
  {
    SLURM_CONF=$folder/controller.conf munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
      --pid-file="$folder/munge/pid" --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed"
    SLURM_CONF=$folder/controller.conf slurmctld -c -f "$folder/controller.conf"
    for name in n1 n2; do SLURM_CONF=$folder/$name.conf slurmd -N "$name" -f "$folder/$name.conf"; done
  } </dev/null >"$folder/log/start.log" 2>&1
  while ((SECONDS < 30)); do
    if both_idle; then
      trap - EXIT
      echo "$folder/slurm.conf"
      return
    fi
    sleep 0.1
  done
  echo "slurm_cluster.sh: the nodes are not idle after 30 s" >&2
  tail -n 20 -v "$folder"/log/* >&2
  return 1
}

unset SLURM_CONF
PATH=$PATH:/usr/sbin # where the daemons are
command=$1
mkdir -p "$2"
folder=$(readlink -f "$2")
case $command in
  start) start "${3-}" ;;
  kill) kill_all "$folder/$3.conf" ;;
  stop) stop ;;
esac
