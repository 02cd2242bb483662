#!/usr/bin/env bash
# `make test`: each step in turn, all of them even when one fails, then what each said last.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/log
failed=0
closing=()

# failures <name>: the tests that have failed by a step's log, in ctest's and pytest's words.
failures() {
  grep -E '^\s+[0-9]+ - .*\([A-Za-z _]+\)|^(FAILED|ERROR) ' "build/log/$1.log" |
    grep -v '(Skipped)$' | head -n 10 || true
}

# step <name> <regular expression of the closing line> <command…>
step() {
  local name=$1 closes=$2 begin=$SECONDS status last
  local quiet='^\[[0-9]+/[0-9]+\]|Passed +[0-9.]+ sec|^ +Start '
  shift 2
  echo "==> $name"
  echo 0 >"build/log/$name.status"
  { "$@" 2>&1 || echo $? >"build/log/$name.status"; } |
    tee "build/log/$name.log" | { grep -vE "$quiet" || true; }
  status=$(<"build/log/$name.status")
  last=$(grep -E "$closes" "build/log/$name.log" | tail -n 1) || last="no closing line"
  [ "$status" -eq 0 ] || { failed=1; last="FAILED ($status): $last"; }
  closing+=("$(printf '%-8s %4d s  %s' "$name" $((SECONDS - begin)) "$last")")
  [ "$status" -eq 0 ] || closing+=("$(failures "$name")")
}

tools/setup.sh --python
step lint '^tidy:' python3 tools/tidy.py
step build '.' make --no-print-directory build
step tests '.' tools/ci/build.sh release
export RASK_SIM_SEEDS=${RASK_SIM_SEEDS:-2000}
step release '% tests passed' ctest --preset release --no-tests=error
step python ' passed' build/venv/bin/python -m pytest -q -p no:cacheprovider --timeout 300 \
  tests/interop examples/python
step lowering ' passed' env PYTHONPATH=python build/venv/bin/python -m pytest -q \
  -p no:cacheprovider --timeout 60 python/tests/test_lower.py
step dask '^dask-tests:' timeout 900 build/venv/bin/python tests/dask/run.py
step asan '% tests passed' tools/ci/sanitize.sh asan
step tsan '% tests passed' tools/ci/sanitize.sh tsan
step fuzz '^fuzz: [0-9]+ targets' tools/ci/fuzz.sh 60
printf '\n%s\n' "make test: $SECONDS s"
printf '%s\n' "${closing[@]}"
exit $failed
