#!/bin/bash
# Fetches ptxas, NVIDIA's assembler (37 MB, PyPI), into .deps/cuda/bin unless the
# machine has a CUDA Toolkit; sq-compile looks there last.
source "$(dirname "$0")/common.sh"

for found in "${CUDA_HOME:-}/bin/ptxas" "${CUDA_PATH:-}/bin/ptxas" /usr/local/cuda/bin/ptxas "$deps/cuda/bin/ptxas"; do
  if [[ -x $found ]]; then exit 0; fi
done
if command -v ptxas >/dev/null; then exit 0; fi

say "fetching ptxas (37 MB)"
mkdir -p "$deps/cuda/bin"
wheel_file tools/scripts/requirements-ptxas.txt /bin/ptxas "$deps/cuda/bin/ptxas.new" ||
  die "ptxas cannot be fetched from PyPI; $pypi_remedy"
chmod +x "$deps/cuda/bin/ptxas.new"
mv "$deps/cuda/bin/ptxas.new" "$deps/cuda/bin/ptxas"
