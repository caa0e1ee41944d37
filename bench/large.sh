#!/bin/bash
# Time and memory of compressing a model of 1.1 B parameters: its statistics, its sensitivities and its weights in few bits, into the
# table of bench/README.md. Makes the model (LLaMA shape, random weights, 4.4 GB) where --model names none. Needs up to 25 GB of disk
# below the build folder and below TMPDIR, where programs of gradients lie. Arguments go to large.py (--layers=2, --only=sq-calibrate,
# --dry-run, ...); --layers before anything else also goes to the model that is made.
source "$(dirname "$0")/../tools/scripts/common.sh"
folder=$build/large
layers=22 model=
for argument in "$@"; do
  case $argument in
    --layers=*) layers=${argument#--layers=} ;;
    --model=*) model=${argument#--model=} ;;
  esac
done
if [[ -z $model ]]; then
  model=$folder/llama-$layers.onnx
  mkdir -p "$folder"
  if [[ ! -f $model ]]; then
    bench/setup-peers.sh
    "$deps/bench-venv/bin/python" bench/llama_shape.py "$model" --layers="$layers"
  fi
fi
python3 bench/large.py --tools="$build/bin" --folder="$folder" --readme=bench/README.md --model="$model" "$@"
