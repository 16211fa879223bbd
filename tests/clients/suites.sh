#!/usr/bin/env bash
# Runs the test suites of real clients, unmodified, at redis-server and at Entourage, and tells
# which tests fail at one of the two. By hand, as root: it fetches the suites with pip.
#
#   tests/clients/suites.sh BINARY [SUITE…]     all of them, when none is named
#
# SUITES_DIR is a directory that keeps what is fetched and said; without it, a new one. What a
# suite said there of a server is not asked again: remove its file in out/ for that.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
[ $# -ge 1 ] || { usage >&2; exit 2; }
binary=$(realpath "$1")
shift
work=${SUITES_DIR:-$(mktemp -d)}
all=(redis-py redis-py-asyncio rq huey limits django-redis aiocache flask-caching)
suites=("$@")
[ $# -gt 0 ] || suites=("${all[@]}")

# Fixed, so that runs can be compared with the table in README.md.
packages=(redis==8.1.0 rq==3.0.0 huey==3.5.4 limits==5.8.0 django-redis==7.0.0 aiocache==0.12.3
  flask-caching==2.5.1)
beside=(pytest pytest-asyncio pytest-timeout pytest-mock pytest-cov pytest-xdist pytest-xprocess
  pytest-lazy-fixtures pytest-benchmark pytest-docker mock cachetools numpy django psutil msgpack
  freezegun hiredis pymemcache pymongo valkey marshmallow aiohttp lz4 pyzstd)

fetch() {
  mkdir -p "$work/src" "$work/out"
  [ ! -e "$work/fetched" ] || return 0
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q "${beside[@]}" "${packages[@]}"
  local package
  for package in "${packages[@]}"; do
    "$work/venv/bin/pip" download -q --no-deps --no-binary "${package%%=*}" \
      -d "$work/src" "$package"
  done
  for package in "$work"/src/*.tar.gz; do tar xzf "$package" -C "$work/src"; done
  touch "$work/fetched"
}

# Says in which folder of src a suite is, and what pytest is told.
suite() {
  local url=--redis-url=redis://127.0.0.1:6379/9
  local plain=(-m "not onlycluster and not redismod and not cp_integration")
  case $1 in
    redis-py) folder=redis-8.1.0 options=("$url" "${plain[@]}" tests/test_{commands,pubsub}.py
      tests/test_{pipeline,lock,scripting,connection,connection_pool,function,encoding}.py
      tests/test_{monitor,cache,keyspace_notifications,multiprocessing}.py) ;;
    redis-py-asyncio) folder=redis-8.1.0 options=("$url" "${plain[@]}"
      tests/test_asyncio/test_{commands,pubsub,pipeline,lock,scripting,connection}.py
      tests/test_asyncio/test_{connection_pool,encoding,monitor,keyspace_notifications}.py) ;;
    rq) folder=rq-3.0.0 options=(tests) ;;
    huey) folder=huey-3.5.4 options=(huey/tests/test_{storage,api,consumer,priority,stats}.py) ;;
    limits) folder=limits-5.8.0 options=(-o addopts= -o filterwarnings=
      -o asyncio_default_fixture_loop_scope=function -m "not benchmark" -k
      "redis and not cluster and not sentinel and not ssl and not auth and not valkey" tests) ;;
    django-redis) folder=django_redis-7.0.0 options=(tests) ;;
    aiocache) folder=aiocache-0.12.3 options=(-o addopts= -k "redis or Redis" tests/acceptance
      tests/ut) ;;
    flask-caching) folder=flask_caching-2.5.1 options=(tests/test_backend_cache.py) ;;
    *) echo "no suite is named $1" >&2; exit 2 ;;
  esac
}

# run SUITE SERVER COMMAND…: suites have 6379 written into them, so that each run has a network
# namespace to itself; and of processes, since suites kill by groups.
run() {
  local log=$work/out/$1.$2 data
  [ ! -e "$log.tests" ] || return 0
  data=$(mktemp -d)
  suite "$1"
  shift 2
  (cd "$work/src/$folder" && timeout 900 unshare -npf --mount-proc --kill-child bash -c '
    ip link set lo up
    log=$1 data=$2 python=$3 words=$4
    shift 4
    (cd "$data" && exec "${@:1:words}" >"$log.server" 2>&1) &
    server=$!
    for _ in {1..100}; do redis-cli ping >/dev/null 2>&1 && break; sleep 0.1; done
    "$python" -m pytest -q -p no:cacheprovider --timeout 60 --tb=short -rfEp "${@:words+1}" \
      >"$log" 2>&1
    kill $server
    wait $server
  ' run "$log" "$data" "$work/venv/bin/python" $# "$@" "${options[@]}") || true
  grep -E '^(PASSED|FAILED|ERROR) [^ ]' "$log" | sed 's/ - .*//' | sort -u >"$log.tests" || true
  rm -rf "$data"
}

fetch
for name in "${suites[@]}"; do
  run "$name" redis redis-server --save '' --enable-debug-command yes
  data=$(mktemp -d)
  printf '[set]\ndir = "%s"\n' "$data" >"$data/entourage.toml"
  run "$name" entourage "$binary" --config "$data/entourage.toml"
  rm -rf "$data"
  for server in redis entourage; do
    echo "$name at $server: $(grep -c ^PASSED "$work/out/$name.$server.tests") passed," \
      "$(grep -cv ^PASSED "$work/out/$name.$server.tests") failed"
  done
  # Which fail here and do not fail there (skipped or passed), and the other way round.
  diff <(grep -v ^PASSED "$work/out/$name.redis.tests") \
    <(grep -v ^PASSED "$work/out/$name.entourage.tests") | grep '^[<>]' || true
done
echo "what was said is in $work/out"
