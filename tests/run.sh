#!/usr/bin/env bash
# Installs, builds and runs all tests; the summary of ctest comes last.
#   tests/run.sh              the short tests under the sanitizers, then all tests
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

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  step "build: $preset"
  cmake --preset "$preset" -DSERIN_WERROR=ON >/dev/null
  if [[ $# -gt 0 ]]; then set -- --target "$@"; fi
  cmake --build --preset "$preset" -j "$jobs" "$@"
}

# build_behind PRESET [TARGET...]: as build, in the time that the tests of
# another preset leave to the processors. They mostly wait; at idle priority
# (sched(7)) none of them waits for a compiler.
behind='' log=$(mktemp)
build_behind() {
  set -m  # a process group of its own, that finish() can end
  { { chrt --idle --pid 0 "$BASHPID" || renice -n 19 "$BASHPID"; } && build "$@"; } >"$log" 2>&1 &
  behind=$!
  set +m
}

# await_build: until that build is done; shows what it had to say.
await_build() {
  local status=0
  wait "$behind" || status=$?
  behind=''
  cat "$log"
  return "$status"
}

finish() {
  if [[ -n $behind ]]; then kill -- "-$behind" 2>/dev/null || true; fi
  rm -f "$log"
}
trap finish EXIT

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
    # last. What takes long is left out, and from ThreadSanitizer what has one
    # thread only: --asan and --tsan run everything.
    build asan
    build_behind tsan serin serinctl base_test split_test observe_test
    test_all asan --label-exclude '^(long|layout)$'
    await_build
    build_behind dev
    test_all tsan --label-exclude '^(long|layout)$' -R '^(base|split|observe|integration)\.'
    await_build
    test_all dev
    ;;
esac
