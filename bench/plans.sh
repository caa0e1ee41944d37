#!/bin/bash
# Mixed plans against uniform ones, random ones of equal size and the reversed ranking, at budgets of uniform 3, 4 and 6 bits,
# into the table of bench/README.md; needs the larger models (SQ_MODELS) and MiniLM. Arguments go to plans.py (--only=lm,
# --budgets=6, --random=5, --dry-run, ...); rows of what was left out stay.
source "$(dirname "$0")/../tools/scripts/common.sh"
models=${SQ_MODELS:-$root/../shared/models}
[[ -d $models/lm/calibration ]] || die "no $models/lm/calibration; set SQ_MODELS to the larger models"
tools/scripts/fetch-minilm.sh
python3 bench/plans.py --tools="$build/bin" --models="$models" --minilm="$deps/minilm" --folder="$build/plans" --readme=bench/README.md "$@"
