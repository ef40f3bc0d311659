#!/usr/bin/env bash
# Measures Serin beside nginx, HAProxy, h2o and lighttpd: CPU time per request.
#   bench/run.sh                      all scenarios, 5 rounds of 5 s each: about an hour
#   bench/run.sh --quick              2 rounds of 1 s: to see that it works
#   bench/run.sh h1 h2-tls …          these scenarios only; --list names them
#   bench/run.sh --rounds N --seconds N --proxies serin,nginx
#   bench/run.sh --results FILE       adds to what FILE holds; with --report measures nothing; --plot FILE draws
#   bench/run.sh --help               the other options
#
# Works on Debian 12 with two cores or more, as root or with sudo for what is
# missing. docs/PERFORMANCE.md says what is measured and how to read it.
set -Eeuo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
deploy/install-packages.sh build bench
cmake --preset release >/dev/null
cmake --build --preset release -j "$(nproc)" --target serin serinctl fastcgi_responder http_load proxy_floor >/dev/null
exec python3 -B bench/compare/main.py --binaries .build/release "$@"
