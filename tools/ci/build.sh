#!/usr/bin/env bash
# tools/ci/build.sh <preset> [targets]: configures once and builds, quietly while all is well.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=$1
shift
# A clone elsewhere finds what was compiled here.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
log=build/$preset/configure.log
mkdir -p "build/$preset"
if ! cmake --preset "$preset" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
targets=()
[ $# -eq 0 ] || targets=(--target "$@")
cmake --build --preset "$preset" --parallel "${JOBS:-$(nproc)}" "${targets[@]}"
