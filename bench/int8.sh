#!/bin/bash
# sq's int8 and integer-only programs against the int8 models of OpenVINO (NNCF) and onnxruntime, in
# accuracy and speed, into the table of bench/README.md; needs the larger models (SQ_MODELS).
# Arguments go to int8.py (--quick, --dry-run, ...).
source "$(dirname "$0")/../tools/scripts/common.sh"
venv quantizers-venv bench/requirements-quantizers.txt ||
  die "the quantisers cannot be fetched from PyPI or a checksum differs; $pypi_remedy"
bench/setup-peers.sh
tools/scripts/fetch-minilm.sh
models=${SQ_MODELS:-$root/../shared/models}
[[ -d $models/minilm/calibration ]] || die "no $models/minilm/calibration; set SQ_MODELS to the larger models"
folder=$build/int8
# make NAME MODEL: all calibration samples for everybody
make_models() {
  [[ -f $folder/$1/dynamic-s8.onnx ]] || "$deps/quantizers-venv/bin/python" bench/quantized.py make "$folder/$1" \
    --model="$2" --data="$models/$1/calibration" --count=256 --only=nncf,dynamic-s8
}
make_models minilm "$deps/minilm/model_opset17.onnx"
make_models classifier "$models/classifier/model.onnx"
[[ ${1:-} == make ]] && exit
"$deps/bench-venv/bin/python" bench/int8.py --tools="$build/bin" --models="$models" --folder="$folder" \
  --minilm="$deps/minilm/model_opset17.onnx" --readme=bench/README.md "$@"
