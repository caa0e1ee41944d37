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

# wheel_file REQUIREMENTS SUFFIX OUT: the one file of a pinned wheel whose name ends so.
wheel_file() {
  mkdir -p "$deps"
  local temporary
  temporary=$(mktemp -d "$deps/fetch.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$temporary'" EXIT
  [[ -x $deps/pip-venv/bin/pip ]] || "$python" -m venv "$deps/pip-venv" ||
    die "python3 -m venv failed; install python3-venv"
  "$deps/pip-venv/bin/pip" download -q --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r "$1" -d "$temporary" || return 1
  "$python" - "$temporary" "$2" "$3" <<'PY'
import glob, os, shutil, sys, zipfile
folder, suffix, out = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(folder, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    (name,) = [n for n in archive.namelist() if n.endswith(suffix)]
    with archive.open(name) as source, open(out + ".part", "wb") as target:
        shutil.copyfileobj(source, target)
os.rename(out + ".part", out)
PY
}

pypi_remedy="check the network, or a mirror: pip reads PIP_INDEX_URL, PIP_FIND_LINKS and https_proxy"
