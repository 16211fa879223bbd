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
all=(redis-py redis-py-asyncio rq huey django-redis fakeredis aiocache cachelib limits)
suites=("$@")
[ $# -gt 0 ] || suites=("${all[@]}")

# Fixed, so that runs can be compared with the table in README.md.
packages=(redis==8.1.0 rq==3.0.0 huey==3.5.4 django-redis==7.0.0 fakeredis==2.41.0 aiocache==0.12.3
  cachelib==0.17.0 limits==5.8.0)
beside=(pytest pytest-asyncio pytest-timeout pytest-mock pytest-cov pytest-xdist mock cachetools
  numpy django psutil msgpack freezegun hiredis lz4 pyzstd valkey hypothesis lupa marshmallow
  pytest-xprocess pytest-lazy-fixtures pytest-benchmark pymemcache pymongo)

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
  # The suite of limits asks this fixture for containers; the server is there already.
  mkdir "$work/plugins"
  cat >"$work/plugins/limits_services.py" <<'END'
import pytest


class Services:
    def start(self, name):
        pass


@pytest.fixture(scope="session")
def docker_services():
    return Services()
END
  touch "$work/fetched"
}

# Says in which folder of src a suite is, what pytest is told, and what the suite has written into
# it: the port of the server, and variables.
suite() {
  port=6379 variables=()
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
    django-redis) folder=django_redis-7.0.0 options=(tests) ;;
    fakeredis) folder=fakeredis-2.41.0 port=6390 options=(-m real test/test_{mixins,async}
      test/test_keyspace_notifications.py) ;;
    aiocache) folder=aiocache-0.12.3 options=(-o addopts= -W ignore -m "not memcached" -k redis
      tests/acceptance) ;;
    cachelib) folder=cachelib-0.17.0 port=6360 variables=(CI=true) options=(-p no:asyncio
      tests/test_redis_cache.py) ;;
    limits) folder=limits-5.8.0 port=7379 options=(-o addopts= -W ignore -p no:docker
      -p limits_services -m "not benchmark" -k redis_basic tests) ;;
    *) echo "no suite is named $1" >&2; exit 2 ;;
  esac
}

# run SUITE SERVER COMMAND…: suites have ports written into them, so that each run has a network
# namespace to itself; with one of processes, nothing that a suite starts stays behind.
run() {
  local log=$work/out/$1.$2 data
  [ ! -e "$log.tests" ] || return 0
  data=$(mktemp -d)
  suite "$1"
  shift 2
  set -- "$@" --port "$port"
  (cd "$work/src/$folder" && env port="$port" PYTHONPATH="$work/plugins" "${variables[@]}" \
    timeout 1800 unshare -npf --mount-proc --kill-child bash -c '
    ip link set lo up
    log=$1 data=$2 python=$3 words=$4
    shift 4
    (cd "$data" && exec "${@:1:words}" >"$log.server" 2>&1) &
    server=$!
    for _ in {1..100}; do redis-cli -p "$port" ping >/dev/null 2>&1 && break; sleep 0.1; done
    "$python" -m pytest -q --timeout 60 --tb=short -rfEp "${@:words+1}" \
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
