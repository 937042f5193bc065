#!/bin/bash
# The study, from the repository's root: experiments/pd_ratio/run.sh [FOLDER]. Writes results.csv.
set -euo pipefail
study=$(dirname "${BASH_SOURCE[0]}")
out=${1:-results/pd_ratio}
mkdir -p "$out"
rm -f "$out/results.csv"
# Agents, sessions a second to start the search at, minutes of warm-up and of measurement, seconds to the first token.
while read -r kind rate warm_up measure ttft; do
  for model in llama-3.1-70b qwen3-235b-a22b; do
    for seed in 1 2 3; do
      ./disagg capacity "$study/cluster.json" --design zip --axis cluster.pools[0].replicas=1..7:int \
        --axis cluster.pools[1].replicas=7,6,5,4,3,2,1 --tolerance 0.05 --csv "$out/one.csv" --quiet \
        --column capacity.per_s --column metrics.output_throughput_per_accelerator --column cost.usd_per_million_tokens \
        --column energy.j_per_output_token --column pools.prefill.utilization --column pools.decode.utilization \
        --set "model=$model" --set "seed=$seed" --set "workload.mix={\"$kind\": 1}" \
        --set "workload.arrivals.sessions_per_second=$rate" --set "horizon.warm_up=$warm_up min" \
        --set "horizon.measure=$measure min" --set "slo.ttft=$ttft s"
      [[ -e $out/results.csv ]] || sed -n '1s/^/agents,model,seed,/p' "$out/one.csv" >"$out/results.csv"
      sed -n "2,\$s/^/$kind,$model,$seed,/p" "$out/one.csv" >>"$out/results.csv"
      rm "$out/one.csv"
    done
  done
done <<'END'
chat 16 6 3 2
coding 0.005 90 180 10
web-use 0.3 8 12 2
computer-use 0.5 6 8 2
END
echo "the table is $out/results.csv"
