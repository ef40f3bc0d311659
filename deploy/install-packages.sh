#!/usr/bin/env bash
# Installs the Debian packages that a task needs and that are missing; asks
# nothing and touches nothing when all are there.
#   deploy/install-packages.sh build     what compiling needs
#   deploy/install-packages.sh demo      what the quickstart runs: nginx, PHP-FPM
#   deploy/install-packages.sh bench     what bench/run.sh measures beside Serin
#   deploy/install-packages.sh test      what the tests run: the above, MariaDB, WordPress, Laravel, Chromium …
# Several words may be given. Works as root or with sudo. No service is started
# or left enabled for the next boot: we run our own, with our own files.
set -Eeuo pipefail

build=(cmake ninja-build g++ pkg-config python3 libevent-dev libnghttp2-dev libssl-dev node-llhttp
  libtomlplusplus-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libcli11-dev libcurl4-openssl-dev
  prometheus-cpp-dev libabsl-dev libgtest-dev libgmock-dev libbenchmark-dev)
demo=(nginx-light php8.2-fpm php8.2-cli php8.2-sqlite3 python3 curl util-linux)
test=("${demo[@]}" php8.2-mysql php8.2-gd php8.2-xml mariadb-server wordpress
  wordpress-theme-twentytwentythree php-laravel-framework prometheus nghttp2-client haproxy
  chromium chromium-driver openssl shellcheck)
bench=(nginx-light php8.2-fpm haproxy h2o lighttpd wrk nghttp2-client openssl util-linux linux-perf python3)
services=(nginx php8.2-fpm mariadb prometheus haproxy h2o lighttpd)

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }

wanted=()
for word in "$@"; do
  case $word in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

missing=()
for package in "${wanted[@]}"; do
  installed "$package" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${missing[*]}"

# Debian starts a daemon when its package is installed, unless policy-rc.d
# (invoke-rc.d(8)) says no. One that is there already is left alone.
policy=/usr/sbin/policy-rc.d
ours=no
absent=()
for service in "${services[@]}"; do
  [[ -e /lib/systemd/system/$service.service ]] || absent+=("$service")
done
restore() {
  [[ $ours == no ]] || "${as_root[@]}" rm -f "$policy"
}
trap restore EXIT
if [[ ! -e $policy ]]; then
  ours=yes
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
log=$(mktemp)
trap 'rm -f "$log"; restore' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi

# What we brought in must not come up by itself at the next boot either.
if [[ -d /run/systemd/system ]]; then
  for service in "${absent[@]}"; do
    [[ ! -e /lib/systemd/system/$service.service ]] || "${as_root[@]}" systemctl -q disable "$service" || true
  done
fi
