# The designs, as arguments of `disagg`: the same parameters, 70.55e9 to 70.56e9 (KV heads: 70.55e9 within 0.02 %).
layers() {  # number of layers
  case $1 in
    40) echo --set model.num_hidden_layers=40 --set model.hidden_size=11264 --set model.num_attention_heads=88 --set model.intermediate_size=41872 ;;
    56) echo --set model.num_hidden_layers=56 --set model.hidden_size=9216 --set model.num_attention_heads=72 --set model.intermediate_size=37216 ;;
    80) echo ;;
    112) echo --set model.num_hidden_layers=112 --set model.hidden_size=6144 --set model.num_attention_heads=48 --set model.intermediate_size=28640 ;;
    160) echo --set model.num_hidden_layers=160 --set model.hidden_size=5120 --set model.num_attention_heads=40 --set model.intermediate_size=24080 ;;
  esac
}
kv_heads() {  # number of KV heads; the FFN takes the difference
  local width; width=$(( (28672 * 3 - 256 * ($1 - 8)) / 48 * 16 ))
  echo --set model.num_key_value_heads=$1 --set model.intermediate_size=$width
}
bandwidth() { echo --set cluster.pools[1].accelerator.memory.bandwidth=$1GB/s; }
memory() { echo --set cluster.pools[1].accelerator.memory.capacity=$1GB --set cluster.pools[1].accelerator.memory.visible=$1GB; }
link() { echo --set cluster.pools[1].accelerator.scale_up.bandwidth=$1GB/s; }
context() { echo --set workload.prompt_tokens.median=$1 --set workload.prompt_tokens.high=$((4 * $1)); }
# The highest rate of requests a second of which 95 % meet the SLO, with each of three seeds: capacity FILE ARGUMENTS...
capacity() {
  for seed in 1 2 3; do
    disagg capacity "$@" --set seed=$seed --attainment 0.95 --tolerance 0.005 --quiet | sed -n 's/^Capacity: \([^ ]*\) .*/\1/p'
  done
}
