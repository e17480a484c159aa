#!/usr/bin/env bash
# scripts/install-packages.sh run|test|ci|peers... : installs the Debian packages of these sets,
# unless they are there already. The one list of what the project needs.
set -euo pipefail

declare -A sets=(
  [run]="g++ cmake ninja-build ccache libxtensor-dev libxsimd-dev libtbb-dev libopenblas-dev
         zlib1g-dev libpng-dev libcli11-dev nlohmann-json3-dev dataset-fashion-mnist"
  [test]="catch2"
  [ci]="clang clang-format libbenchmark-dev gnuplot-nox graphviz chromium python3 texlive-latex-base"
  [peers]="libbenchmark-dev libtorch-dev"
)

packages=()
for set in "$@"; do
  [[ -n ${sets[$set]:-} ]] || { echo "$0: no set '$set'; there are: ${!sets[*]}" >&2; exit 2; }
  read -r -d '' -a names <<<"${sets[$set]}" || true
  packages+=("${names[@]}")
done

# By hand: the user has looked after it, on a system of another kind or without root.
[[ ${XGRAD_PACKAGES:-} != by-hand ]] || exit 0

by_hand() {
  cat >&2 <<EOF
$1
Install these by hand (the names are those of Debian 12; elsewhere they differ a little):
  ${packages[*]}
and run this again with the environment variable XGRAD_PACKAGES=by-hand.
EOF
  exit 1
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  by_hand "This system has no apt-get, so nothing can be installed automatically."

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ((EUID == 0)); then
  as_root=(env)
elif command -v sudo >/dev/null; then
  as_root=(sudo env)
else
  by_hand "Packages are missing (${missing[*]}), and you are neither root nor have sudo."
fi
as_root+=(DEBIAN_FRONTEND=noninteractive)

echo "Installing: ${missing[*]}"
install=("${as_root[@]}" apt-get install --yes --no-install-recommends --quiet=2)
# The lists of packages may be missing or out of date; they are fetched only then.
"${install[@]}" "${missing[@]}" 2>/dev/null || {
  "${as_root[@]}" apt-get update --quiet=2
  "${install[@]}" "${missing[@]}"
}
