#!/bin/bash
# Mixed plans as QONNX (sq-compile --emit=qonnx) in qonnx's own executor: the same numbers as sq's artifact of the plan and as
# sq's of the exported model. Arguments go to qonnx_check.py.
source "$(dirname "$0")/../tools/scripts/common.sh"
venv qonnx-venv bench/requirements-qonnx.txt ||
  die "qonnx cannot be fetched from PyPI or a checksum differs; $pypi_remedy"
exec "$deps/qonnx-venv/bin/python" bench/qonnx_check.py --tools="$build/bin" "$@"
