#!/usr/bin/env bash
# tests/package/run.sh [folder] : builds and installs the library, static and shared, and builds the
# consumer project in every way, also for another processor than the library: no xtensor container
# may cross between the two, because compiler flags change what it is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
work=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$work"' EXIT
rm -rf "$work"/{prefix,build}-*

launcher=()
if command -v ccache >/dev/null; then launcher=(-D CMAKE_CXX_COMPILER_LAUNCHER=ccache); fi

quietly() {  # shows the output only of what fails
  "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "FAILED: $*"; exit 1; }
}

library() {  # name, options...
  local name=$1
  shift
  echo "library $name"
  quietly cmake -S "$source_dir" -B "$work/build-$name" -G Ninja -D CMAKE_BUILD_TYPE=Release \
    -D XGRAD_BUILD_TESTS=OFF -D XGRAD_BUILD_EXAMPLES=OFF \
    -D CMAKE_INSTALL_PREFIX="$work/prefix-$name" "$@"
  quietly cmake --build "$work/build-$name"
  quietly cmake --install "$work/build-$name"
}

consumer() {  # name, options...
  local name=$1
  shift
  echo "consumer $name"
  quietly cmake -S "$here" -B "$work/build-$name" -G Ninja -D CMAKE_BUILD_TYPE=Release \
    "${launcher[@]}" "$@"
  quietly cmake --build "$work/build-$name"
  quietly ctest --test-dir "$work/build-$name" --output-on-failure --no-tests=error
}

no_xtensor_inside() {  # libraries...
  local file symbols
  for file in "$@"; do
    symbols=$(nm --demangle "$file" 2>/dev/null | grep '\bxt::' || true)
    [[ -z $symbols ]] || { echo "FAILED: $file holds xtensor's types:"; echo "$symbols"; exit 1; }
  done
}

# What is installed is what a user may include, and it needs nothing that is not installed.
headers() {  # prefix
  local include=$1/include/xgrad private
  private=$(cd "$include" && find . -path '*/ops/*' -o -path '*/kernels/*' -o -path '*/detail/*' \
    -o -name tape_memory.hpp -o -name names.hpp)
  [[ -z $private ]] || { echo "FAILED: private headers are installed: $private"; exit 1; }
  (cd "$include" && find . -name '*.hpp' | sort | sed 's|^\./\(.*\)|#include <\1>|') >"$work/all.cpp"
  echo "installed headers: $(wc -l <"$work/all.cpp")"
  quietly c++ -std=c++20 -fsyntax-only -I "$include" "$work/all.cpp"
}

library static-native -D XGRAD_NATIVE=ON
no_xtensor_inside "$work"/prefix-static-native/lib*/libxgrad_*.a
headers "$work/prefix-static-native"
static=(-D CMAKE_PREFIX_PATH="$work/prefix-static-native")
consumer static-plain "${static[@]}" -D CMAKE_CXX_FLAGS="-march=x86-64"
consumer static-plain-xsimd "${static[@]}" -D CMAKE_CXX_FLAGS="-march=x86-64 -DXTENSOR_USE_XSIMD"

library shared-generic -D XGRAD_NATIVE=OFF -D BUILD_SHARED_LIBS=ON
no_xtensor_inside "$work"/prefix-shared-generic/lib*/libxgrad_*.so
# What only the shared libraries use inside, their user need not have.
shared=(-D CMAKE_PREFIX_PATH="$work/prefix-shared-generic")
for package in TBB CBLAS ZLIB xsimd; do
  shared+=(-D CMAKE_DISABLE_FIND_PACKAGE_$package=ON)
done
consumer shared-native "${shared[@]}" -D CMAKE_CXX_FLAGS="-march=native"
consumer shared-native-xsimd "${shared[@]}" -D CMAKE_CXX_FLAGS="-march=native -DXTENSOR_USE_XSIMD"

source=(-D XGRAD_SOURCE="$source_dir")
consumer add_subdirectory -D HOW=add_subdirectory "${source[@]}"
consumer FetchContent -D HOW=FetchContent "${source[@]}" -D CMAKE_CXX_FLAGS="-DXTENSOR_USE_XSIMD"
echo "package: all right"
