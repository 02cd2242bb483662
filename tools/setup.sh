#!/usr/bin/env bash
# Makes a bare Debian 12 able to build and test rask. Safe to run again: when everything is there it
# takes a fraction of a second and asks nobody for anything.
#
#   tools/setup.sh            what `make build`, `make test` and `make demo` need
#   tools/setup.sh --python   also build/venv: the stock Dask for `make bench` and the interop tests,
#                             and build/venv-<release> for each older one in tools/releases.txt
#   tools/setup.sh --list     only prints the system packages, one a line
set -euo pipefail
cd "$(dirname "$0")/.."

# Every system package that rask stands on, with the version of Debian 12 that it is tested with.
packages=(
  g++                   # 12.2
  make                  # 4.3
  cmake                 # 3.25
  ninja-build           # 1.11
  ccache                # 4.8: second builds take seconds
  pkg-config            # 1.8
  git                   # 2.39
  ca-certificates
  libboost1.81-dev      # Asio and Beast
  libboost-url1.81-dev
  libboost-json1.81-dev
  libssl-dev            # 3.0: tls:// addresses
  libfmt-dev            # 9.1
  libspdlog-dev         # 1.10
  libyaml-cpp-dev       # 0.7: Dask's configuration files
  libcli11-dev          # 2.3: the command line
  libcurl4-openssl-dev  # 7.88: fetching pages
  libsqlite3-dev        # 3.40
  libxxhash-dev         # 0.8
  libmimalloc-dev       # 2.0: the allocator of the program rask
  libzstd-dev           # 1.5: compression of frames, as the next two
  liblz4-dev            # 1.9
  zlib1g-dev            # 1.2
  libgtest-dev          # 1.12
  libgmock-dev
  libbenchmark-dev      # 1.7
  libtbb-dev            # 2021.8: what local graphs are measured against
  graphviz              # 2.42: draws graphs
  clang-19              # 19.1: fuzz targets
  libclang-rt-19-dev    # its sanitizers
  clang-format-19
  clang-tidy-19
  python3               # 3.11: tools/*.py
  python3-venv
  python3-pip
  python3.11-doc        # 1,600 HTML pages on disk: what the scraping examples and tests crawl
)

# What only `--python` needs.
test_packages=(
  chromium              # 156: looks at the pages that rask makes
  chromium-driver
)

want_python=0
case "${1:-}" in
  "") ;;
  --python) want_python=1; packages+=("${test_packages[@]}") ;;
  --list) printf '%s\n' "${packages[@]}" "${test_packages[@]}"; exit 0 ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

missing_packages() {
  command -v dpkg-query >/dev/null || { printf '%s\n' "${packages[@]}"; return; }
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
    sed -n 's/^installed //p') || true
  comm -23 <(printf '%s\n' "${packages[@]}" | sort) <(sort -u <<<"$installed")
}

install_packages() {
  local missing
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "${missing// /}" ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "setup: this is not Debian; please install what these packages hold: $missing" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup: packages are missing; run as root, then run this again:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends $missing" >&2
    exit 1
  fi
  echo "setup: installing $missing"
  export DEBIAN_FRONTEND=noninteractive
  # Slim images leave out all documentation; this page collection is needed.
  local keep='--path-include=/usr/share/doc/python3*'
  # shellcheck disable=SC2086
  { apt-get update -q &&
    apt-get install -y -q --no-install-recommends -o "Dpkg::Options::=$keep" $missing; } >&2
}

# Any python3 from 3.10 on will do for the tools, wherever it comes from.
check_python() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' && return
  echo "setup: python3 is older than 3.10: $(python3 --version 2>&1)" >&2
  exit 1
}

make_venv() {
  local stamp=build/venv/requirements.txt
  cmp -s tools/requirements.txt "$stamp" && return 0
  echo "setup: making build/venv"
  mkdir -p build
  python3 -m venv --clear build/venv
  build/venv/bin/python -m pip install -q --disable-pip-version-check -r tools/requirements.txt
  cp tools/requirements.txt "$stamp"
}

# An environment with dask and distributed of an older release. All else it finds in build/venv, which
# stands behind its own packages in sys.path: a few megabytes and seconds for each.
make_release_venv() {
  local release=$1 venv=build/venv-$1 stamp made_from
  stamp=$venv/made-from.txt
  made_from="$release $(cksum build/venv/requirements.txt build/venv/pyvenv.cfg)"
  [ "$made_from" = "$(cat "$stamp" 2>/dev/null)" ] && return 0
  echo "setup: making $venv"
  build/venv/bin/python -m venv --clear --without-pip "$venv"
  # Only what is named, and before it sees build/venv: pip must not touch what is there.
  build/venv/bin/python -m pip --python "$venv/bin/python" install -q --disable-pip-version-check \
    --no-deps --no-compile "dask==$release" "distributed==$release"
  local packages
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  build/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    >"$packages/behind.pth"
  # Fails when the shared packages are not what this release asks for.
  build/venv/bin/python -m pip --python "$venv/bin/python" --disable-pip-version-check check
  echo "$made_from" >"$stamp"
}

make_release_venvs() {
  local release
  for release in $(grep -v '^#' tools/releases.txt); do make_release_venv "$release"; done
}

install_packages
check_python
if [ -e tools/fetch_lexbor.sh ]; then bash tools/fetch_lexbor.sh; fi
if [ "$want_python" = 1 ]; then
  make_venv
  make_release_venvs
fi
