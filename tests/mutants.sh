#!/usr/bin/env bash
# Mutation testing of what decides: session, route, replication, node and the connection core.
# Each mutant is built, and judged by the unit tests of these rooms and by the simulator with few
# seeds. By hand, as it takes days on two cores: about two minutes for each of the mutants, of which
# there are some 3,000. Survivors that are known stand in tests/mutants.md.
#
#   tests/mutants.sh                          all of them
#   tests/mutants.sh --shard 3/40             one of forty parts
#   tests/mutants.sh --file 'src/session/**'  one room; any options of cargo-mutants will do
#   tests/mutants.sh --list                   what there is, without a run
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
  sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
fi
command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants

files=()
if [[ " $* " != *" --file "* && " $* " != *" -f "* ]]; then
  for room in session route replication node server/connection; do files+=(--file "src/$room/**"); done
fi

# Few, so that a mutant is judged in seconds; most faults that are planted are found in as many.
export SIM_SEEDS=${SIM_SEEDS:-24}
exec nice -n 15 cargo mutants --profile mutants --jobs 1 --no-shuffle --colors never \
  --baseline "${BASELINE:-run}" --timeout 240 --minimum-test-timeout 60 \
  --output "${MUTANTS_OUT:-target/mutants}" "${files[@]}" "$@" \
  -- --lib -- --skip planted session:: route:: replication:: node:: server::connection:: sim:: \
  commands::
