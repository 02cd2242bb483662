#!/usr/bin/env bash
# tools/ci/soak.sh: the simulation with SEEDS seeds (100,000), from FIRST_SEED (one that no run had).
# A failing seed is printed with what was wrong.
set -euo pipefail
cd "$(dirname "$0")/../.."
export RASK_SIM_SEEDS=${SEEDS:-100000} RASK_SIM_FIRST_SEED=${FIRST_SEED:-$(($(date +%s) * 1000))}
tools/ci/build.sh release rask_sim_test
parts=$(nproc)
pids=()
for ((part = 0; part < parts; part++)); do
  build/release/bin/rask_sim_test "$part" "$parts" &
  pids+=($!)
done
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit $failed
