#!/usr/bin/env bash
# Builds the Debian package: config/package/build.sh [BINARY], and prints where it is.
# Without BINARY it builds one with the profile `dist` first. Needs cargo-deb and
# cargo-bundle-licenses (`cargo install cargo-deb cargo-bundle-licenses`).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
made=$root/target/package
cd "$root"

binary=${1:-$target/dist/entourage}
[ $# != 0 ] || cargo build --profile dist >&2
rm -rf "$made"
mkdir -p "$made"
strip -o "$made/entourage" "$binary"
"$made/entourage" man >"$made/entourage.1"
for shell in bash zsh fish; do
  "$made/entourage" completions $shell >"$made/entourage.$shell"
done
# The licence texts of everything that is linked into the binary.
cargo bundle-licenses --format yaml --output "$made/THIRD-PARTY-LICENCES.yml" >&2
version=${DEB_VERSION:+--deb-version=$DEB_VERSION}
cargo deb --no-build --no-strip $version --output "$made" >&2
echo "$made"/*.deb
