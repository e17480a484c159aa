#!/usr/bin/env bash
# scripts/test.sh : installs what is missing, builds everything and runs all tests. With the
# environment variable XGRAD_DATA_DIR naming a folder with data/mnist/ and fixtures/, the tests that
# need those run too; otherwise they say that they are skipped.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
options=(-D XGRAD_BUILD_TESTS=ON -D XGRAD_BUILD_EXAMPLES=ON)
if [[ -n ${XGRAD_DATA_DIR:-} ]]; then
  options+=(-D XGRAD_DATA_DIR="$(cd "$XGRAD_DATA_DIR" && pwd)")
fi

cd "$source_dir"
"$source_dir/scripts/install-packages.sh" run test
cmake --preset release "${options[@]}"
cmake --build --preset release
ctest --test-dir build/release --output-on-failure -j "$(nproc)"
