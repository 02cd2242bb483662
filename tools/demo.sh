#!/usr/bin/env bash
# Crawls the documentation of Python from this machine's own disk: a loopback server for the HTML of
# Debian's package python3.11-doc, 4 worker processes, every page. Then shows titles and the modules
# that are spoken of most. The result stays in build/demo/pages.sqlite.
#
#   tools/demo.sh [options of rask crawl]     e.g. --limit 50, --rows 500
set -euo pipefail
cd "$(dirname "$0")/.."

docs="${RASK_DEMO_DOCS:-/usr/share/doc/python3.11/html}"
rask="${RASK:-build/rask}"
out=build/demo/pages.sqlite

[ -e "$docs/index.html" ] || { echo "demo: $docs is not there; run tools/setup.sh" >&2; exit 1; }
[ -x "$rask" ] || { echo "demo: $rask is not there; run make build" >&2; exit 1; }

mkdir -p build/demo
work=$(mktemp -d build/demo/server.XXXXXX)
server=""
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cat >"$work/server.py" <<'PYTHON'
import functools, http.server, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Else each answer waits 40 ms for the client's acknowledgement.
    wbufsize = 1 << 16
    def log_message(self, *_): pass

handler = functools.partial(Handler, directory=sys.argv[1])
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
PYTHON
mkfifo "$work/port"
python3 "$work/server.py" "$docs" >"$work/port" &
server=$!
read -r port <"$work/port"

export no_proxy=127.0.0.1
"$rask" crawl "http://127.0.0.1:$port/index.html" --workers 4 --limit 1000 --count 'code.py-mod' \
  --output "$out" --rows 25 "$@"
