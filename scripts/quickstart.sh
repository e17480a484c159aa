#!/usr/bin/env bash
# scripts/quickstart.sh [options of train] : from a fresh Debian 12 to a trained network: installs
# what is missing, builds the train example and runs it. Without options it trains on the digits
# that are part of the library. A second run does again only what has to be done again.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=$source_dir/build/release

"$source_dir/scripts/install-packages.sh" run
if [[ ! -f $build_dir/build.ninja ]]; then
  # Presets are looked up in the current folder.
  (cd "$source_dir" && cmake --preset release -D XGRAD_BUILD_TESTS=OFF)
fi
cmake --build "$build_dir" --target train
exec "$build_dir/examples/train" "$@"
