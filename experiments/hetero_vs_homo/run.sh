#!/bin/bash
# The study, from the repository's root: experiments/hetero_vs_homo/run.sh [FOLDER]. Writes cost.csv and power.csv.
set -euo pipefail
study=$(dirname "${BASH_SOURCE[0]}")
out=${1:-results/hetero_vs_homo}
mkdir -p "$out"
for match in cost power; do
  sides=(homogeneous.json disaggregated.json heterogeneous.json newest.json)
  # H100 and H200 are provisioned with the same power: what disaggregation does alone is in cost.csv.
  [[ $match == cost ]] || sides=(homogeneous.json heterogeneous.json newest.json)
  : >"$out/$match.csv"
  # Sessions of chat last minutes, of coding agents hours: time for the first to end before anything is measured.
  while read -r kind rate warm_up measure ttft; do
    echo "== $kind, equal $match"
    ./disagg compare "${sides[@]/#/$study/}" --match "$match" --best-split --at-capacity \
      --seeds 3 --tolerance 0.05 --axis model=qwen3-32b,llama-3.1-70b,qwen3-next-80b-a3b --csv "$out/one.csv" \
      --set "workload.mix={\"$kind\": 1}" --set "workload.arrivals.sessions_per_second=$rate" \
      --set "horizon.warm_up=$warm_up min" --set "horizon.measure=$measure min" --set "slo.ttft=$ttft s"
    [[ -s $out/$match.csv ]] || sed -n '1s/^/agents,/p' "$out/one.csv" >"$out/$match.csv"
    sed -n "2,\$s/^/$kind,/p" "$out/one.csv" >>"$out/$match.csv"
    rm "$out/one.csv"
  done <<'END'
chat 16 6 2 2
coding 0.004 90 120 10
web-use 0.2 8 6 2
computer-use 0.5 6 4 2
END
done
echo "tables are in $out"
