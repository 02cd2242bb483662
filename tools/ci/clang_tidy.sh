#!/usr/bin/env bash
# clang-tidy on the C++ sources that differ from the last commit, or on those named.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -e build/release/compile_commands.json ] || tools/ci/build.sh release help >/dev/null
files=("$@")
if [ $# -eq 0 ]; then
  mapfile -t files < <({ git diff --name-only HEAD -- '*.cc'; git ls-files -o --exclude-standard '*.cc'; } |
    sort -u)
fi
[ ${#files[@]} -gt 0 ] || { echo "clang-tidy: no changed files"; exit 0; }
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 \
  clang-tidy-19 -p build/release --quiet --extra-arg=-Wno-unknown-warning-option
echo "clang-tidy: ${#files[@]} files, nothing to report"
