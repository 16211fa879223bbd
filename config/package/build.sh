#!/usr/bin/env bash
# Builds the Debian package: config/package/build.sh [BINARY], and prints where it is.
# Without BINARY it builds one with the profile `dist` first; DEB_VERSION gives the package a version
# of its own. Needs cargo-deb (`cargo install cargo-deb`) and python3.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bytes_max=$((15 << 20))
made=$root/target/package # where Cargo.toml looks for what is packaged
cd "$root"

binary=${1:-${CARGO_TARGET_DIR:-target}/dist/entourage}
[ $# != 0 ] || cargo build --locked --profile dist >&2
rm -rf "$made"
mkdir -p "$made/units"
cp config/entourage.service "$made/units"
strip --remove-section=.comment --remove-section=.note -o "$made/entourage" "$binary"
bytes=$(stat -c %s "$made/entourage")
echo "stripped, the binary has $bytes bytes" >&2
if [ $# = 0 ] && [ "$bytes" -gt $bytes_max ]; then
  echo "build.sh: more than $bytes_max" >&2
  exit 1
fi

"$made/entourage" man >"$made/entourage.1"
"$made/entourage" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' |
  while read -r subcommand; do
    [ "$subcommand" = help ] || "$made/entourage" man "$subcommand" >"$made/entourage-$subcommand.1"
  done
for shell in bash zsh fish; do
  "$made/entourage" completions $shell >"$made/entourage.$shell"
done
config/package/licences.py >"$made/THIRD-PARTY-LICENCES.txt"

head=$(sed -n '1s/.*(\(.*\)).*/\1/p' config/package/changelog)
version=${DEB_VERSION:-$head}
if [ "$version" != "$head" ]; then
  printf 'entourage (%s) unstable; urgency=medium\n\n  * Built as %s.\n\n' "$version" "$version"
  sed -n '/^ --/{p;q}' config/package/changelog
  echo
fi | cat - config/package/changelog >"$made/changelog"
cargo deb --no-build --no-strip --deb-version="$version" --output "$made" >&2
echo "$made"/*.deb
