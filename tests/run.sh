#!/usr/bin/env bash
# Installs, builds and runs all tests; the summary of ctest comes last.
#   tests/run.sh              all tests, then once more under the sanitizers what has a label for it
#   tests/run.sh --fast       all tests, no sanitizers
#   tests/run.sh --asan       all tests under AddressSanitizer and UndefinedBehaviorSanitizer only
#   tests/run.sh --tsan       all tests under ThreadSanitizer only
#   tests/run.sh … -- ARGS    ARGS for ctest, such as: -R crash
#
# Works on a bare Debian 12 as root or with sudo; installs only what is missing.
set -Eeuo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { sed -n '2,9s/^# \{0,1\}//p' tests/run.sh; }

mode=default
ctest_arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --fast) mode=fast ;;
    --asan) mode=asan ;;
    --tsan) mode=tsan ;;
    --) shift; ctest_arguments=("$@"); break ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option: $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

jobs=$(nproc)
began=$SECONDS
step() { printf '\n== %s (%d s) ==\n' "$*" "$((SECONDS - began))"; }

step "packages"
deploy/install-packages.sh build test

# build PRESET
build() {
  local preset=$1
  step "build: $preset"
  cmake --preset "$preset" -DSERIN_WERROR=ON >/dev/null
  cmake --build --preset "$preset" -j "$jobs"
}

# test_all PRESET ARGS...
test_all() {
  local preset=$1
  shift
  step "test: $preset"
  ctest --preset "$preset" -j "$jobs" --no-tests=error "$@" "${ctest_arguments[@]}"
}

case $mode in
  asan | tsan) build "$mode"; test_all "$mode" ;;
  fast) build dev; test_all dev ;;
  default)
    # The sanitizers first, so that the summary of the whole is what one reads
    # last. Under them run the units and the short integration tests.
    for preset in asan tsan; do
      build "$preset"
      test_all "$preset" --label-exclude '^(long|layout)$'
    done
    build dev
    test_all dev
    ;;
esac
