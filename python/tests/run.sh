#!/usr/bin/env bash
# python/tests/run.sh [options of pytest]: tests the wheel of build/wheel in an environment that has
# nothing but it, what it needs, and pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/python-venv
wheels=(build/wheel/dask_rask-*.whl)
[ -e "${wheels[0]}" ] || { echo "run.sh: there is no wheel; make wheel" >&2; exit 1; }
if ! cmp -s tools/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -c tools/requirements.txt \
    "${wheels[0]}[dataframe]" cryptography pytest pytest-timeout
  cp tools/requirements.txt "$venv/requirements.txt"
fi
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --force-reinstall \
  "${wheels[0]}"
# Not from the source tree: the package that is tested is the installed one.
cd python/tests
unset PYTHONPATH VIRTUAL_ENV
exec timeout 900 "../../$venv/bin/python" -m pytest -c ../pyproject.toml --rootdir . -p no:cacheprovider "$@"
