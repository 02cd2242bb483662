#!/usr/bin/env bash
# tools/ci/soak.sh <seconds>: the simulation over and over, each round with seeds that it has not had,
# until the time is up. A failing run prints its seed.
set -euo pipefail
cd "$(dirname "$0")/../.."
end=$(($(date +%s) + ${1:-600}))
seeds=${SEEDS:-200}
first=${FIRST_SEED:-$(($(date +%s) * 1000))}
rounds=0
while [ "$(date +%s)" -lt "$end" ]; do
  RASK_SIM_FIRST_SEED=$first RASK_SIM_SEEDS=$seeds \
    ctest --preset release --label-regex '^sim$' --no-tests=error --quiet ||
    { echo "soak: failed with RASK_SIM_FIRST_SEED=$first RASK_SIM_SEEDS=$seeds" >&2; exit 1; }
  first=$((first + seeds))
  rounds=$((rounds + 1))
done
echo "soak: $rounds rounds of $seeds seeds, nothing found"
