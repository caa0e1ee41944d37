#!/bin/bash
# Measures sq against its peers and writes the tables of bench/README.md.
# Arguments go to compare.py (--quick, --only=minilm,gemm, --dry-run, ...);
# `bench/run.sh gemm` is the contraction kernel alone.
source "$(dirname "$0")/../tools/scripts/common.sh"
bench/setup-peers.sh
tools/scripts/fetch-minilm.sh
[[ ${1:-} != gemm ]] || set -- --only=gemm "${@:2}"
mkdir -p "$build/bench"
"$deps/bench-venv/bin/python" bench/compare.py --tools="$build/bin" --folder="$build/bench" \
  --readme=bench/README.md "$@"
