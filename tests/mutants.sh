#!/usr/bin/env bash
# Mutation testing of what decides: session, route, replication, node and the connection core.
# cargo-mutants lists the mutants; tests/mutants/schema.py puts all of them into one scratch copy of
# the tree, each behind a switch that is set at run time, so that there is one build and not one for
# each of some 3,000; tests/mutants/judge.py runs the library's unit tests and the simulator on them,
# for each only the tests that come by it. By hand: about an hour on two busy cores. What may survive
# stands in tests/mutants.md.
#
#   tests/mutants.sh                          all of them; begun again, it goes on where it was
#   tests/mutants.sh src/route/ Session::saw  only mutants whose name holds one of these
#   MINUTES=20 tests/mutants.sh               as many as can be judged in that time, evenly spread
#   MUTANTS_OUT=DIR                           where everything is (target/mutants)
#   ROOMS="route node"                        which rooms are listed
#   SIM_SEEDS=24 SIM_SEEDS_MORE=200           seeds for each mutant, and for those that survive
#   UNFIT_TESTS=a::b,c::d                     tests that are left out, as they fail by themselves
#
# Afterwards: OUT/verdicts.json (one line for each), OUT/mutants.json (what there is, what does not
# compile, and what must be built by itself), and a table by room on the last lines.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
  sed -n '2,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
fi
tree=$PWD
out=${MUTANTS_OUT:-$PWD/target/mutants}
mkdir -p "$out"
out=$(cd "$out" && pwd)

export PATH=$out/bin:$PATH
command -v cargo-mutants >/dev/null ||
  CARGO_TARGET_DIR=$out/cargo-mutants cargo install --locked cargo-mutants --root "$out"
python=$out/venv/bin/python
[ -x "$python" ] || python3 -m venv "$out/venv"
"$python" -c 'import tree_sitter_rust' 2>/dev/null ||
  "$out/venv/bin/pip" install --quiet tree-sitter tree-sitter-rust

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$out/target} CARGO_INCREMENTAL=1
export CARGO_PROFILE_CHECKED_OPT_LEVEL=1 CARGO_PROFILE_CHECKED_DEBUG=0
export CARGO_PROFILE_CHECKED_CODEGEN_UNITS=64
# What is switched leaves variables unused and code unreachable.
export RUSTFLAGS="--cap-lints=allow ${RUSTFLAGS:-}"

# A sum of the sources says whether what was built and judged is still of this tree.
sum=$(find Cargo.toml Cargo.lock src tests/sim tests/mutants -type f | sort | xargs sha256sum | sha256sum)
if [ "$(cat "$out/sum" 2>/dev/null)" != "$sum" ]; then
  rm -rf "$out/tree" "$out/verdicts.json" "$out/sum"
  files=()
  for room in ${ROOMS:-session route replication node server/connection}; do
    files+=(--file "src/$room/**")
  done
  cargo mutants --list --json "${files[@]}" >"$out/list.json"
  mkdir "$out/tree"
  tar c --exclude=./target --exclude=./.git . | tar x -C "$out/tree"
  "$python" tests/mutants/schema.py "$out/tree" "$out/list.json" "$out/mutants.json"
  (cd "$out/tree" && cargo test --profile checked --lib --no-run --message-format=json) |
    "$python" -c '
import json, sys
for line in map(json.loads, sys.stdin):
    if line.get("executable") and line["target"]["kind"] == ["lib"]:
        print(line["executable"])' >"$out/binary"
  printf %s "$sum" >"$out/sum"
fi
cd "$out/tree"
exec "$python" "$tree/tests/mutants/judge.py" "$(cat "$out/binary")" "$out/mutants.json" "$out" "$@"
