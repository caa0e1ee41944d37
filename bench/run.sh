#!/bin/bash
# Measures MiniLM against onnxruntime and writes the table into bench/README.md.
# Arguments go to compare.py, e.g. --rounds=3 --dry-run.
source "$(dirname "$0")/../tools/scripts/common.sh"
bench/setup-peers.sh
tools/scripts/fetch-minilm.sh
mkdir -p "$build/bench"
"$build/bin/sq-compile" .deps/minilm/model_opset17.onnx -o "$build/bench/minilm.so"
"$deps/bench-venv/bin/python" bench/compare.py --artifact="$build/bench/minilm.so" \
  --model=.deps/minilm/model_opset17.onnx --readme=bench/README.md "$@"
