#!/bin/bash
# Makes .deps/llama/llama-peer-vnni and llama-peer-amx: llama.cpp from the pinned sources of llama-cpp-python, for AVX-512 with
# VNNI, without and with its AMX backend. Some ten minutes on two cores, once.
source "$(dirname "$0")/../tools/scripts/common.sh"
version=0.3.36
folder=$deps/llama
# raise the last number when flags below change
stamp="$version $(sha256sum bench/llama_peer.cpp | cut -c1-16) 1"
if [[ $(cat "$folder/stamp" 2>/dev/null) == "$stamp" ]]; then exit 0; fi

# As with onnx (tools/scripts/install-deps.sh), pip wants the build's requirements even to download.
venv llama-venv bench/requirements-llama-build.txt ||
  die "PyPI cannot be reached or a checksum differs; $pypi_remedy"
mkdir -p "$deps/download" "$folder"
log=$folder/build.log
"$deps/llama-venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-build-isolation \
  --no-binary llama-cpp-python --require-hashes -r bench/requirements-llama.txt -d "$deps/download" >"$log" 2>&1 ||
  die "cannot download llama-cpp-python, see $log; $pypi_remedy"

source=$folder/llama_cpp_python-$version/vendor/llama.cpp
if [[ ! -f $folder/unpacked-$version ]]; then
  tar -C "$folder" -xzf "$deps/download/llama_cpp_python-$version.tar.gz"
  # Of GCC 12's _tile_loadconfig the compiler knows that it reads 8 of 64 bytes, and drops stores to the others: the first AMX
  # instruction is then illegal (seen with these sources).
  sed -i 's/^\( *\)_tile_loadconfig(&tc);/\1__asm__ volatile("" : : "r"(\&tc) : "memory");\n&/' \
    "$source/ggml/src/ggml-cpu/amx/mmq.cpp"
  touch "$folder/unpacked-$version"
fi

say "building llama.cpp of llama-cpp-python $version, twice (once, some ten minutes)"
for kind in vnni amx; do
  amx=OFF
  [[ $kind == amx ]] && amx=ON
  out=$folder/$kind
  {
    cmake -S "$source" -B "$out" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
      -DLLAMA_BUILD_SERVER=OFF -DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON \
      -DGGML_BMI2=ON -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON \
      -DGGML_AVX_VNNI=ON -DGGML_AMX_TILE=$amx -DGGML_AMX_INT8=$amx -DGGML_AMX_BF16=$amx &&
      ninja -C "$out" -j2 llama &&
      g++ -O2 -std=c++17 -I"$source/include" -I"$source/ggml/include" bench/llama_peer.cpp -o "$folder/llama-peer-$kind" \
        "$out/src/libllama.a" "$out/ggml/src/libggml.a" "$out/ggml/src/libggml-cpu.a" "$out/ggml/src/libggml-base.a" \
        -fopenmp -lpthread -ldl -lm
  } >>"$log" 2>&1 || die "cannot build llama.cpp, see $log"
done
echo "$stamp" >"$folder/stamp"
