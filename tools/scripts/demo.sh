#!/bin/bash
# From an ONNX file to one binary that runs: all-MiniLM-L6-v2, or the tiny
# classifier of the repository where its weights cannot be fetched.
source "$(dirname "$0")/common.sh"
PATH=$build/bin:$PATH
TIMEFORMAT='compiled in %1R s (%1U s of processor time)'

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 ]] || step() { printf '\n%s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
# Inputs of a reference folder as sq-run's flags, in $inputs.
inputs_of() {
  inputs=()
  for file in "$1"/*.npy; do
    local name=${file##*/}
    name=${name%.npy}
    [[ " $2 " == *" $name "* ]] || inputs+=("--input=$name=@${file#"$root"/}")
  done
}

minilm() {
  local data=test/models/minilm
  step "Compile: ONNX (opset 17) and 91 MB of weights become one shared object"
  time show sq-compile .deps/minilm/model_opset17.onnx -o minilm.so
  ls -l minilm.so | awk '{ printf "minilm.so: %.1f MB\n", $5 / 1e6 }'

  step "Run: a sentence of 47 tokens, against the stored float64 output"
  inputs_of $data/reference_b1 last_hidden_state
  show sq-run minilm.so "${inputs[@]}" \
    --expect=last_hidden_state=@$data/reference_b1/last_hidden_state.npy --atol=2e-5 --rtol=0

  step "Time: batch 1, 128 tokens"
  show sq-bench minilm.so --dim=batch=1 --dim=sequence=128 --threads=1,$(nproc)

  step "Search: the nearest of 20 package descriptions by the sentence embeddings"
  show sq-eval minilm.so $data/retrieval --metric=retrieval --show=5 \
    --texts=$data/retrieval/texts.json
}

tiny() {
  local data=test/models/tiny/classifier
  step "Compile: a two-layer classifier of package descriptions"
  time show sq-compile $data/model.onnx -o tiny.so
  ls -l tiny.so | awk '{ printf "tiny.so: %.1f MB\n", $5 / 1e6 }'

  step "Run: 400 descriptions against the stored logits"
  show sq-eval tiny.so $data/test --metric=accuracy

  step "Time: batch 1, 32 tokens"
  show sq-bench tiny.so --dim=batch=1 --dim=sequence=32 --threads=1
}

if tools/scripts/fetch-minilm.sh; then
  minilm
else
  say "the weights of MiniLM are out of reach, so here is the tiny classifier instead"
  tiny
fi
