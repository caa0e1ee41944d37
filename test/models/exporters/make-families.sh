#!/bin/sh
# Makes test/models/families anew (the arguments choose some by name): PyPI's torch and transformers in
# .deps/families-venv (7 GB: torch's packages bring CUDA), then make_families.py. Not part of any build or test.
set -e
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../../.deps/families-venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir -r "$here/requirements-families.txt"
HF_HUB_OFFLINE=1 exec "$venv/bin/python" "$here/make_families.py" "$@"
