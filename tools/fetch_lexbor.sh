#!/usr/bin/env bash
# Brings the HTML5 parser lexbor (C sources, Apache-2.0) to where cmake/Lexbor.cmake looks for it.
# Its sources are in the source distribution of selectolax on PyPI, which pip downloads once; after
# that this needs no network and takes no time.
#
#   tools/fetch_lexbor.sh [folder]     default: build/third_party/lexbor
#   tools/fetch_lexbor.sh --from selectolax-….tar.gz [folder]     from a file, without a network
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.0.2
sha256=f0508ad927aa426425d4aa7a2bb2f8b21c01412534465bd227e241d4d0a6a418
archive=""
case "${1:-}" in
  --from) archive="${2:?fetch_lexbor: --from needs a file}"; shift 2 ;;
  -*) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
target="${1:-build/third_party/lexbor}"
stamp="$target/.selectolax"

[ "$(cat "$stamp" 2>/dev/null)" = "$version $sha256" ] && exit 0

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT

# pip itself refuses a file with another checksum, before anything in it is run.
download() {
  echo "fetch_lexbor: downloading selectolax $version"
  printf 'selectolax==%s --hash=sha256:%s\n' "$version" "$sha256" >"$work/requirements.txt"
  if ! python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary selectolax \
      --require-hashes -r "$work/requirements.txt" -d "$work" >"$work/pip.log" 2>&1; then
    tail -n 5 "$work/pip.log" >&2
    echo "fetch_lexbor: pip could not download selectolax $version. With a network, run this" >&2
    echo "again; without one, bring its source distribution here and run" >&2
    echo "  tools/fetch_lexbor.sh --from selectolax-$version.tar.gz" >&2
    exit 1
  fi
  archive="$work/selectolax-$version.tar.gz"
}

[ -n "$archive" ] || download
if ! echo "$sha256  $archive" | sha256sum --check --quiet --status; then
  echo "fetch_lexbor: $archive is not selectolax $version: its sha256 should be $sha256" >&2
  exit 1
fi

top="selectolax-$version/lexbor"
mkdir "$work/lexbor"
tar -xzf "$archive" --no-same-owner -C "$work/lexbor" --strip-components=2 \
  "$top/source" "$top/LICENSE" "$top/NOTICE" "$top/version"
echo "$version $sha256" >"$work/lexbor/.selectolax"
rm -rf "$target"
mv "$work/lexbor" "$target"
echo "fetch_lexbor: lexbor $(sed -n 's/^LEXBOR_VERSION=//p' "$target/version") is in $target"
