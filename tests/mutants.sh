#!/usr/bin/env bash
# Mutation testing of what decides: session, route, replication, node and the connection core.
#
# cargo-mutants lists the mutants. tests/mutants/schema.py puts all of them into one scratch copy of
# the tree, each behind a switch that is set at run time, so that there is one build and not one for
# each of some 3,300. tests/mutants/judge.py runs the library's unit tests and the simulator on each,
# only the tests that come by it and the fastest first; what survives gets the tests of tests/ that
# start whole servers. By hand: an hour or two on two cores. What may survive stands in
# tests/mutants.md.
#
#   tests/mutants.sh                          all of them; begun again, it goes on where it was
#   tests/mutants.sh src/route/ Session::saw  only mutants whose name holds one of these
#
# And by variables:
#   MINUTES=20                        as many as can be judged in that time, evenly from all files
#   MUTANTS_OUT=DIR                   where everything is kept (target/mutants)
#   ROOMS="route node"                which rooms are listed
#   SIM_SEEDS=24 SIM_SEEDS_MORE=200   seeds for each mutant, and more for what survives them
#   TESTS="connection scripts"        which files of tests/integration survivors get; "" for none
#   STAGE=library, STAGE=servers      one half of the work
#   CARGO_PROFILE_CHECKED_OPT_LEVEL=0 a build that is there sooner and takes longer to run (1)
#   UNITS="route:: session::"         only unit tests whose names begin so: survivors are an upper
#                                     bound then, and belong in an OUT of their own
#   UNFIT_TESTS=a::b,c::d             unit tests that are left out, as they fail by themselves
#
# Afterwards: OUT/verdicts.json (a line for each mutant, of the library's tests), OUT/of-servers.json
# (the same of what survived those), OUT/mutants.json (what there is, what does not compile, and what
# no switch can choose and must be built by itself). The last lines are a table by room.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
  sed -n '2,31s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
fi
tree=$PWD
out=${MUTANTS_OUT:-$PWD/target/mutants}
mkdir -p "$out"
out=$(cd "$out" && pwd)

export PATH=$out/bin:$PATH
command -v cargo-mutants >/dev/null ||
  CARGO_TARGET_DIR=$out/target cargo install --locked cargo-mutants --root "$out"
python=$out/venv/bin/python
[ -x "$python" ] || python3 -m venv "$out/venv"
"$python" -c 'import tree_sitter_rust' 2>/dev/null ||
  "$out/venv/bin/pip" install --quiet tree-sitter tree-sitter-rust

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$out/target} CARGO_INCREMENTAL=1
export CARGO_PROFILE_CHECKED_OPT_LEVEL=${CARGO_PROFILE_CHECKED_OPT_LEVEL:-1} CARGO_PROFILE_CHECKED_DEBUG=0
export CARGO_PROFILE_CHECKED_CODEGEN_UNITS=64
# What is switched leaves variables unused and code unreachable.
export RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }--cap-lints=allow"

export TESTS=${TESTS-blocking commands connection endings forward hangup keyspace_events lag last \
  members observability pause pubsub replica_of replicas routes scopes scripts slowlog tags tokens \
  transactions waiters}

# A sum of the sources says whether what was built and judged is still of this tree.
sum="$(find Cargo.toml Cargo.lock src tests -type f -name '*.*' -not -path '*/node_modules/*' \
  -not -path 'tests/mutants*' |
  LC_ALL=C sort | xargs sha256sum | sha256sum) ${ROOMS:-} $TESTS"
if [ "$(cat "$out/sum" 2>/dev/null)" != "$sum" ]; then
  rm -rf "$out/tree" "$out/verdicts.json" "$out/of-servers.json" "$out/sum" "$out/binaries"
  files=()
  for room in ${ROOMS:-session route replication node server/connection}; do
    files+=(--file "src/$room/**")
  done
  cargo mutants --list --json "${files[@]}" >"$out/list.json"
  mkdir "$out/tree"
  tar c --exclude=./target --exclude=./.git --exclude=node_modules . | tar x -C "$out/tree"
  "$python" tests/mutants/schema.py "$out/tree" "$out/list.json" "$out/mutants.json"
  printf %s "$sum" >"$out/sum"
fi
# The program that starts whole servers is built when it is asked for: it takes as long again.
what=(--lib)
[ "${STAGE:-}" = library ] || what+=(--test=integration)
if [ "$(wc -l 2>/dev/null <"$out/binaries" || true)" != ${#what[@]} ]; then
  (cd "$out/tree" &&
    cargo test --profile checked "${what[@]}" --no-run --message-format=json) >"$out/built"
  # The library's tests first.
  "$python" - "$out/built" >"$out/binaries" <<'END'
import json, sys
built = [json.loads(it) for it in open(sys.argv[1])]
built = [it for it in built if it.get("executable") and it["profile"]["test"]]
built.sort(key=lambda it: it["target"]["kind"] != ["lib"])
print("\n".join(it["executable"] for it in built))
END
fi
cd "$out/tree"
exec "$python" "$tree/tests/mutants/judge.py" "$out/binaries" "$out/mutants.json" "$out" "$@"
