#!/bin/sh
# Makes the models of this folder anew: PyPI's torch and onnxruntime in .deps/exporters-venv (7 GB:
# torch's packages bring CUDA), then make.py. Not part of any build or test.
set -e
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../../.deps/exporters-venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir -r "$here/requirements.txt"
"$venv/bin/python" "$here/make.py"
"$venv/bin/python" "$here/contrib.py"
"$venv/bin/python" "$here/contrib_quantized.py"
exec "$venv/bin/python" "$here/spatial.py"
