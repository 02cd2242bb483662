#!/usr/bin/env bash
# run.sh <build folder of rask> <compiler>: installs rask to a prefix of its own, moves that prefix (it must
# not remember where it was), builds the consumer against it, and runs it on a local cluster and on
# `rask scheduler` with two workers that preload the consumer's library.
set -euo pipefail
build=$1 compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/rask-install-XXXXXX")
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

cmake --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/prefix"
prefix=$work/prefix
cp -r "$here/consumer" "$work/app"

echo "== find_package"
export CCACHE_DISABLE=1
cmake -S "$work/app" -B "$work/app/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug >"$work/configure.log"
cmake --build "$work/app/build" --parallel 2
app=$work/app/build/app
tasks=$work/app/build/libapp_tasks.so

echo "== its own local cluster"
timeout 60 "$app"

echo "== rask scheduler and two workers"
rask=$prefix/bin/rask
timeout 120 "$rask" scheduler --host 127.0.0.1 --port 0 --scheduler-file "$work/scheduler.json" \
  --no-dashboard >"$work/scheduler.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do
  [ -s "$work/scheduler.json" ] && break
  sleep 0.1
done
address=$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' "$work/scheduler.json" | head -n 1)
for name in a b; do
  timeout 120 "$rask" worker "$address" --name "$name" --nthreads 1 --preload "$tasks" \
    --local-directory "$work" >"$work/worker-$name.log" 2>&1 &
  pids+=($!)
done
if ! timeout 60 "$app" "$address"; then
  tail -n 20 "$work"/*.log
  exit 1
fi

echo "== pkg-config"
config="$(dirname "$(find "$prefix" -name rask.pc)")"
flags=$(PKG_CONFIG_PATH=$config pkg-config --cflags --libs rask)
library=$(dirname "$(find "$prefix" -name librask.so)")
# shellcheck disable=SC2086
"$compiler" -std=c++20 "$work"/app/*.cc $flags -Wl,-rpath,"$library" -o "$work/by_hand"
timeout 60 "$work/by_hand" "$address"

echo "install: package, pkg-config, local cluster and remote cluster work"
