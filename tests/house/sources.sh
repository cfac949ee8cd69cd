# shellcheck shell=bash
# What the house checks share; to be sourced. Each check takes the root of a source tree, prints one line per violation
# ("file:line: what is wrong") and ends with 1 when there is one.
set -euo pipefail
export LC_ALL=C
cd "$1"

# find_sources <name pattern>… : the tree's files with such names, one per line; fails when there are none, so that a check of nothing is
# never green.
find_sources() {
  local names=() pattern found
  for pattern in "$@"; do names+=(-o -name "$pattern"); done
  found=$(find . \( -path ./build -o -path './.*' \) -prune -o -type f \( "${names[@]:1}" \) -print | sed 's|^\./||' | sort)
  [ -n "$found" ] || { echo "no sources below $PWD" >&2; return 1; }
  echo "$found"
}

# Ends the check: red when standard input has lines, which are shown.
report() {
  local violations
  violations=$(cat)
  [ -z "$violations" ] || { echo "$violations"; exit 1; }
}
