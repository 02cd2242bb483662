#!/usr/bin/env bash
# tools/ci/sanitize.sh asan|tsan: builds and runs the tests that the sanitizer is for.
#   asan   every unit test, and the simulation with fewer seeds
#   tsan   the rooms that have threads
set -euo pipefail
cd "$(dirname "$0")/../.."
case "${1:-}" in
  asan) target=sanitized_tests labels='^(unit|sim)$' ;;
  tsan) target=threaded_tests labels='^threads$' ;;
  *) echo "usage: $0 asan|tsan" >&2; exit 2 ;;
esac
tools/ci/build.sh "$1" "$target"
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_init_order=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
export RASK_SIM_SEEDS=${RASK_SIM_SEEDS:-200}
ctest --preset "$1" --label-regex "$labels" --no-tests=error
