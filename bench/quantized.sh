#!/bin/bash
# Quantises MiniLM with onnxruntime and NNCF, measures the results in sq and onnxruntime and writes
# the table of bench/README.md; needs the larger models (SQ_MODELS). `bench/quantized.sh tests` makes
# test/models/quantized anew. Other arguments go to quantized.py.
source "$(dirname "$0")/../tools/scripts/common.sh"
venv quantizers-venv bench/requirements-quantizers.txt ||
  die "the quantisers cannot be fetched from PyPI or a checksum differs; $pypi_remedy"
run() { "$deps/quantizers-venv/bin/python" bench/quantized.py "$@"; }
if [[ ${1:-} == tests ]]; then
  run tests test/models/quantized --model=test/models/exporters/encoder/dynamo18.onnx \
    --only=u8s8,s8s8-matmul,operators,dynamic-u8-columns,nncf
  exit
fi
tools/scripts/fetch-minilm.sh
data=${SQ_MODELS:-$root/../shared/models}/minilm/calibration
[[ -d $data ]] || die "no $data; set SQ_MODELS to the larger models"
folder=$build/quantised
options=(--model="$deps/minilm/model_opset17.onnx" --data="$data" --tools="$build/bin")
[[ -f $folder/sq.onnx ]] || run make "$folder" "${options[@]}"
run measure "$folder" "${options[@]}" --readme=bench/README.md "$@"
