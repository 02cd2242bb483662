#!/usr/bin/env bash
# tools/ci/fuzz.sh <seconds>: runs every fuzz target on its kept corpus, so long in all. What they
# find is left in build/fuzz/artifacts with the input that shows it.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
if ! command -v clang++-19 >/dev/null; then
  echo "fuzz: clang++-19 is not installed, nothing was fuzzed"
  exit 0
fi
tools/ci/build.sh fuzz fuzz_targets
mapfile -t targets < <(find build/fuzz/bin -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort)
if [ ${#targets[@]} -eq 0 ]; then
  echo "fuzz: there are no targets" >&2
  exit 1
fi
each=$((seconds / ${#targets[@]} + 1))
mkdir -p build/fuzz/artifacts

fuzz_one() {
  local name seeds found
  name=$(basename "$1")
  seeds=tests/fuzz/corpus/${name#fuzz_}
  found=build/fuzz/corpus/$name  # New inputs stay out of the tree until somebody keeps them.
  mkdir -p "$found"
  [ -d "$seeds" ] || seeds=$found
  if ! timeout $((each + 120)) "$1" -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 \
      -artifact_prefix="build/fuzz/artifacts/$name-" "$found" "$seeds" \
      >"build/fuzz/$name.log" 2>&1; then
    tail -n 60 "build/fuzz/$name.log" >&2
    return 1
  fi
  echo "fuzz: $name, $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "build/fuzz/$name.log") runs, nothing found"
}
for target in "${targets[@]}"; do fuzz_one "$target"; done
echo "fuzz: ${#targets[@]} targets, $each s each, nothing found"
