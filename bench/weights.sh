#!/bin/bash
# Weights of a language model in 3 and 4 bits: bits, bytes and perplexity of every way that sq has, into the table of
# bench/README.md; needs the larger models (SQ_MODELS). Arguments go to weights.py (--only=lut3, --dry-run, ...).
source "$(dirname "$0")/../tools/scripts/common.sh"
models=${SQ_MODELS:-$root/../shared/models}
[[ -d $models/lm/calibration ]] || die "no $models/lm/calibration; set SQ_MODELS to the larger models"
python3 bench/weights.py --tools="$build/bin" --model="$models/lm" --folder="$build/weights" --readme=bench/README.md "$@"
