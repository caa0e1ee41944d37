#!/bin/bash
# Tokens per second of a 1.1 B LLaMA shape with random weights in 3 and 4 bits, sq against llama.cpp, into the table of
# bench/README.md. Needs some 12 GB of disk and, the first time, half an hour. Arguments go to llm.py (--only=, --dry-run, ...).
source "$(dirname "$0")/../tools/scripts/common.sh"
bench/setup-peers.sh
bench/setup-llama.sh
folder=${SQ_LLAMA:-$build/llama}
mkdir -p "$folder"
venv_python=$deps/bench-venv/bin/python
# make FILE COMMAND...: unless it is there
make() {
  [[ -s $folder/$1 ]] || { say "making $1"; "${@:2}" || { rm -f "$folder/$1"; die "cannot make $folder/$1"; }; }
}
ninja -C "$build" sq-compile sq-bench-bandwidth >/dev/null || die "cannot build sq-compile and sq-bench-bandwidth"
make model.onnx "$venv_python" bench/llama_shape.py "$folder/model.onnx"
make f16.gguf "$venv_python" bench/llama_gguf.py "$folder/model.onnx" "$folder/f16.gguf"
make q4.gguf "$deps/llama/llama-peer-vnni" quantize "$folder/f16.gguf" "$folder/q4.gguf" Q4_K_M 2
make q3.gguf "$deps/llama/llama-peer-vnni" quantize "$folder/f16.gguf" "$folder/q3.gguf" Q3_K_M 2
make graph.mlir "$build/bin/sq-compile" "$folder/model.onnx" --emit=sq -o "$folder/graph.mlir"
for bits in 4 3; do
  density=0
  [[ $bits == 3 ]] && density=0.0045
  make "codes$bits.mlir" "$venv_python" bench/random_codes.py "$folder/graph.mlir" "$bits" "$density" "$folder/codes$bits.mlir"
  # Made anew when the compiler is newer: what is measured is its code.
  for kind in "" -f32; do
    artifact=$folder/codes$bits$kind.so
    activations=int8
    [[ $kind == -f32 ]] && activations=f32
    [[ $artifact -nt $build/bin/sq-compile ]] ||
      "$build/bin/sq-compile" "$folder/codes$bits.mlir" --target=host:native --activations=$activations -o "$artifact" ||
      die "cannot compile $artifact"
  done
done
"$venv_python" bench/llm.py --folder="$folder" --llama="$deps/llama" --bandwidth="$build/bin/sq-bench-bandwidth" \
  --readme=bench/README.md "$@"
