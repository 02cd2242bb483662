#!/usr/bin/env bash
# conformance.sh HARNESS TESTS [arguments for the harness…]
#
# Runs the tests of a checkout of dask/distributed with `build/rask scheduler` in place of the stock
# one. HARNESS is the folder with the harness's run.py and baseline.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
harness=$1 tests=$2
shift 2

refuse() {
  echo "conformance: $*" >&2
  exit 2
}

[ -n "$tests" ] || refuse "say where the tests are: make conformance" \
  "TESTS=<checkout of github.com/dask/distributed, tag $(sed -n 's/^distributed==//p' tools/requirements.txt)>"
[ -d "$tests/distributed/tests" ] || refuse "$tests is no checkout of dask/distributed"
[ -f "$harness/run.py" ] || refuse "no harness at $harness: CONFORMANCE=<folder with its run.py>"

make --no-print-directory build
tools/setup.sh --python
export DASK_RASK__PYTHON="$PWD/build/venv/bin/python"
exec build/venv/bin/python "$harness/run.py" --tests "$tests" --python "$PWD/build/venv/bin/python" \
  --scheduler "$PWD/build/rask scheduler" --baseline "$harness/baseline.json" --jobs 2 "$@"
