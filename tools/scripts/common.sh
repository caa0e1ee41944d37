# Sourced by the scripts beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
deps=$root/.deps
preset=${SQ_PRESET:-default}
case $preset in
  default) build=$root/build ;;
  *) build=$root/build-$preset ;;
esac

say() { printf '%s\n' "$*"; }
die() { printf 'sq: %s\n' "$*" >&2; exit 1; }

# Debian's interpreter, not one of the user's: its venv module is among the
# packages, and the pinned wheels fit its version.
python=/usr/bin/python3

# venv NAME REQUIREMENTS: makes .deps/NAME hold exactly these pinned, hashed
# packages; nothing to do when the list has not changed.
venv() {
  local dir=$deps/$1 list=$2
  if cmp -s "$list" "$dir/installed.txt"; then return 0; fi
  rm -rf "$dir"
  mkdir -p "$deps"
  "$python" -m venv "$dir" || return 1
  "$dir/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r "$list" ||
    return 1
  cp "$list" "$dir/installed.txt"
}

pypi_remedy="check the network, or a mirror: pip reads PIP_INDEX_URL, PIP_FIND_LINKS and https_proxy"
