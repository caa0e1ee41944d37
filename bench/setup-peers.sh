#!/bin/bash
# Makes .deps/bench-venv with the pinned peers of the benchmark.
source "$(dirname "$0")/../tools/scripts/common.sh"
venv bench-venv bench/requirements-peers.txt ||
  die "the peers cannot be fetched from PyPI or a checksum differs; $pypi_remedy"
