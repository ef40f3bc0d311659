#!/usr/bin/env bash
# Shows Serin at work, on this machine, in a couple of minutes:
#   deploy/quickstart.sh             keeps running until Ctrl-C, to play with
#   deploy/quickstart.sh --once      ends by itself; non-zero if anything did not happen
#
#   --port N         port of nginx (default: 8080, or the next free one)
#   --binaries DIR   use serin and serinctl of that folder instead of building
#   --keep           leave the temporary folder (logs, configuration) behind
#   -h, --help       this text
#
# Needs Debian 12, and root or sudo for packages that are missing. Everything
# else runs as an ordinary user in a temporary folder, on free ports, and is
# gone at the end. The host's own nginx and PHP are not touched.
set -Eeuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
once=no keep=no port=8080 binaries=''

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0"; }
while [[ $# -gt 0 ]]; do
  case $1 in
    --once) once=yes ;;
    --keep) keep=yes ;;
    --port) port=${2:?--port needs a number}; shift ;;
    --binaries) binaries=$(cd "${2:?--binaries needs a folder}" && pwd); shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option: $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ $port =~ ^[0-9]+$ ]] || { echo "--port needs a number, not $port" >&2; exit 2; }

bold='' dim='' red='' green='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi
chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
good() { printf '  %s✔%s %s\n' "$green" "$plain" "$*"; }
fail() {
  printf '  %s✘ %s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}

# --- Who does the work: never root, if there is anybody else -----------------
user=$(id -un)
if [[ $EUID -eq 0 ]]; then
  user=www-data
  if [[ -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then user=$SUDO_USER; fi
fi
as_user=()
if [[ $EUID -eq 0 ]]; then
  as_user=(setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --inh-caps=-all)
fi

# --- Cleaning up: by the ids of what we started, newest first ----------------
tmp='' last=''
declare -A pid=()
order=()

# start NAME COMMAND...: in the background, as the user, with a log of its own.
start() {
  local name=$1 log=$tmp/log/$1.log
  shift
  if [[ $EUID -eq 0 ]]; then touch "$log" && chown "$user" "$log"; fi
  "${as_user[@]}" env HOME="$tmp" "$@" </dev/null >>"$log" 2>&1 &
  pid[$name]=$!
  order=("$name" "${order[@]}")
}

# stop NAME SIGNAL: and wait until it is gone; by force after 10 s.
stop() {
  local id=${pid[$1]:-}
  [[ -n $id ]] || return 0
  unset "pid[$1]"
  kill -s "$2" "$id" 2>/dev/null || true
  for _ in {1..100}; do
    kill -0 "$id" 2>/dev/null || break
    sleep 0.1
  done
  kill -s KILL "$id" 2>/dev/null || true
  wait "$id" 2>/dev/null || true
}

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  for name in "${order[@]}"; do
    case $name in fpm-*) stop "$name" QUIT ;; *) stop "$name" TERM ;; esac
  done
  if [[ -n $tmp ]]; then
    if [[ $status -ne 0 && $status -ne 130 ]]; then
      for log in "$tmp"/log/*.log; do
        if [[ -s $log ]]; then
          printf '%s--- end of %s%s\n' "$dim" "${log##*/}" "$plain" >&2
          tail -n 15 "$log" >&2
        fi
      done
    fi
    if [[ $keep == yes ]]; then say "kept: $tmp"; else rm -rf "$tmp"; fi
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'last="line $LINENO: $BASH_COMMAND"; printf "  %s✘ failed at %s%s\n" "$red" "$last" "$plain" >&2' ERR

# --- Packages and binaries ---------------------------------------------------
chapter "Packages"
words=(demo)
[[ -n $binaries ]] || words+=(build)
"$here/install-packages.sh" "${words[@]}"
good "all there"

if [[ -z $binaries ]]; then
  chapter "Build"
  # What root builds in somebody's checkout would be in their way afterwards.
  owner=()
  if [[ $EUID -eq 0 && $(stat -c %U "$root") == "$user" ]]; then owner=("${as_user[@]}"); fi
  began=$SECONDS log=$(mktemp)
  if ! (
    cd "$root"
    if [[ ${#owner[@]} -gt 0 ]]; then export HOME=${TMPDIR:-/tmp}; fi
    "${owner[@]}" cmake --preset release -DSERIN_BENCH=OFF
    "${owner[@]}" cmake --build --preset release --target serin serinctl
  ) 2>&1 | tee "$log" | while IFS= read -r line; do
    # ninja's "[12/80] Building …", on one line of a terminal
    if [[ -t 1 ]]; then printf '\r\e[K  %.*s' "$((${COLUMNS:-80} - 4))" "$line"; fi
  done; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "the build failed"
  fi
  rm -f "$log"
  if [[ -t 1 ]]; then printf '\r\e[K'; fi
  binaries=$root/.build/release/proxy
  good "serin and serinctl, $((SECONDS - began)) s"
fi

# --- The stage: a folder, two releases, free ports ---------------------------
tmp=$(mktemp -d "${TMPDIR:-/tmp}/serin-quickstart.XXXXXX")
chmod 755 "$tmp"
mkdir -p "$tmp"/{bin,conf,demo,log,run,state,storage,nginx,app/blue,app/green,app/releases}
cp "$binaries/serin" "$binaries/serinctl" "$tmp/bin/"
cp -R "$here/demo/." "$tmp/demo/"
for release in v1 v2 v3-broken; do
  "$here/demo/make-release.sh" "$release" "$tmp/app/releases/$release"
done
point() { ln -sfn "../releases/$2" "$tmp/app/$1/current"; }
point blue v1
point green v2

free_port() {
  python3 - "$1" <<'PYTHON'
import socket, sys
for port in range(int(sys.argv[1]), 65536):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break
PYTHON
}
port=$(free_port "$port")
metrics_port=$(free_port 9145)
url=http://127.0.0.1:$port

# The very files that are shipped, with their places changed to ours.
for pool in blue green; do
  sed -e "s|/run/serin-fpm/|$tmp/run/|; s|/var/log/serin-fpm-|$tmp/log/fpm-|" \
    -e '/^user = /d; /^group = /d; /^listen\.owner/d; /^listen\.group/d; s/^pm.max_children = .*/pm.max_children = 8/' \
    -e "\$ a env[DEMO_STORAGE] = $tmp/storage" "$here/php-fpm/$pool.conf" >"$tmp/conf/fpm-$pool.conf"
done
cat >"$tmp/conf/nginx.conf" <<EOF
worker_processes 1;
pid $tmp/run/nginx.pid;
error_log stderr warn;
daemon off;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $tmp/nginx/body;
    proxy_temp_path $tmp/nginx/proxy;
    fastcgi_temp_path $tmp/nginx/fastcgi;
    uwsgi_temp_path $tmp/nginx/uwsgi;
    scgi_temp_path $tmp/nginx/scgi;
$(sed -E "s|/run/serin/|$tmp/run/|; s|listen 80;|listen 127.0.0.1:$port;|; s|/srv/app/(blue\|green)/|$tmp/app/\\1/current/|" \
  "$here/nginx/serin-http.conf")
}
EOF
cat >"$tmp/conf/serin.toml" <<EOF
# Short holds and small numbers, to be looked at; see conf/serin.toml for real ones.
[[listen]]
address = "unix:$tmp/run/http.sock"
protocol = "http"

[pools.blue]
address = "unix:$tmp/run/blue.sock"
root = "$tmp/app/blue/current/public"
max_connections = 6
health_path = "/ping"
status_address = "unix:$tmp/run/blue-status.sock"

[pools.green]
address = "unix:$tmp/run/green.sock"
root = "$tmp/app/green/current/public"
max_connections = 6
health_path = "/ping"
status_address = "unix:$tmp/run/green-status.sock"

[rollout]
steps = ["10%", "25%", "50%", "75%", "100%"]
hold = "4s"
window = "30s"
min_requests = 100
min_step_requests = 45

[admin]
socket = "$tmp/run/admin.sock"

[metrics]
address = "127.0.0.1:$metrics_port"

[state]
directory = "$tmp/state"
EOF
if [[ $EUID -eq 0 ]]; then chown -R "$user" "$tmp"; fi

# wait_until SECONDS WHAT COMMAND...
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [[ $SECONDS -lt $deadline ]] || fail "$what did not come up"
    sleep 0.05
  done
}
listens() {
  python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$tmp/run/$1.sock"
}
start_fpm() {
  start "fpm-$1" php-fpm8.2 --nodaemonize --fpm-config "$tmp/conf/fpm-$1.conf"
  wait_until 15 "PHP-FPM $1" listens "$1"
}
serinctl() { "${as_user[@]}" "$tmp/bin/serinctl" --socket "$tmp/run/admin.sock" "$@"; }
release_at() { curl -fsS "$url/health" | sed -n 's/.*"release":"\([^"]*\)".*/\1/p'; }
# report KEY...: from what the last roll_out left behind.
report() {
  python3 - "$tmp/report.json" "$@" <<'PYTHON'
import functools, json, sys
print(functools.reduce(lambda value, key: value[key], sys.argv[2:], json.load(open(sys.argv[1]))))
PYTHON
}
# roll_out RELEASE STATE: start it and show it until it ends; it must end in that state.
roll_out() {
  python3 "$tmp/demo/watch.py" --socket "$tmp/run/admin.sock" --stats "$tmp/stats.json" --until "$2" \
    --report "$tmp/report.json" -- "$tmp/bin/serinctl" --socket "$tmp/run/admin.sock" start "$1"
}

chapter "Two PHP-FPM masters, Serin before them, nginx in front"
"${as_user[@]}" "$tmp/bin/serin" -t -c "$tmp/conf/serin.toml" >"$tmp/log/check.log" 2>&1 || fail "serin refuses its configuration"
start_fpm blue
start_fpm green
start serin "$tmp/bin/serin" -c "$tmp/conf/serin.toml"
wait_until 15 "serin" serinctl status
start nginx nginx -e stderr -p "$tmp/nginx" -c "$tmp/conf/nginx.conf"
wait_until 15 "nginx" curl -fsS "$url/health"
[[ $(release_at) == v1 ]] || fail "the site is not release v1"
good "blue: release v1, stable · green: release v2, idle · all as user $user"
good "the site: $url"

start traffic python3 "$tmp/demo/traffic.py" --url "$url" --stats "$tmp/stats.json"
wait_until 10 "traffic" test -s "$tmp/stats.json"
good "2,000 visitors send about 150 requests a second"

# --- Act one: a good release -------------------------------------------------
chapter "A good release: serinctl start v2"
roll_out v2 stable || fail "the rollout of v2 was not promoted"
[[ $(report roles stable) == green ]] || fail "the roles were not swapped"
for _ in {1..20}; do
  [[ $(release_at) == v2 ]] || fail "the site is not release v2 for everybody"
done
bad=$(report bad)
[[ $bad == 0 ]] || fail "$bad visitors got a bad answer during a good release"
good "v2 is live for everybody after $(report seconds) s; green is stable now, blue is idle"
good "$(report requests) requests meanwhile, none of them bad"

# --- Act two: a bad release --------------------------------------------------
# The new release goes to the pool that is idle: stop its FPM master when it has
# finished what it does (SIGQUIT), point its root at the release, start it again.
deploy() {
  stop "fpm-$1" QUIT
  point "$1" "$2"
  start_fpm "$1"
}
chapter "A bad release: v3-broken fails one request in five; serinctl start v3-broken"
deploy blue v3-broken
roll_out v3-broken reverted || fail "the broken release was not reverted"
for _ in {1..20}; do
  [[ $(release_at) == v2 ]] || fail "the site is not back on release v2"
done
good "reverted by itself after $(report seconds) s; everybody is on v2 again"
good "bad answers that visitors saw: $(report bad) of $(report requests)"
good "why:"
report reason | fold -s -w 92 | sed 's/^/      /'

# --- What next ---------------------------------------------------------------
if [[ $once == yes ]]; then
  chapter "Everything happened as it should."
  exit 0
fi
ctl="$tmp/bin/serinctl --socket $tmp/run/admin.sock"
chapter "It is all yours until Ctrl-C. In another terminal:"
cat <<EOF
  ${dim}# watch it; a person's view is at $url${plain}
  $ctl status -w
  ${dim}# split by hand; the guard stays on, and this canary is broken${plain}
  $ctl weight 25
  ${dim}# what happened, and why${plain}
  $ctl history
  ${dim}# the same without our tool${plain}
  curl --unix-socket $tmp/run/admin.sock http://serin/v1/status
  curl http://127.0.0.1:$metrics_port/metrics
  ${dim}# its files: configuration in conf/, logs in log/${plain}
  ls $tmp
EOF
while true; do
  for name in "${!pid[@]}"; do
    kill -0 "${pid[$name]}" 2>/dev/null || fail "$name has ended"
  done
  sleep 1 &
  wait $!
done
