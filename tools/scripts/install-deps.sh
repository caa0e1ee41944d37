#!/bin/bash
# Installs what sq is built from: Debian 12 packages, and onnx 1.22.0 built from
# its source archive on PyPI into .deps/onnx. Quick when nothing is missing.
source "$(dirname "$0")/common.sh"

packages=(
  cmake g++ make ninja-build ccache git
  clang-22 clang-format-22 clang-tidy-22 lld-22 libclang-rt-22-dev
  llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools
  protobuf-compiler libprotobuf-dev flatbuffers-compiler libflatbuffers-dev
  libxxhash-dev libboost-context-dev libglpk-dev libgtest-dev libgmock-dev libonnx-testdata
  chromium # a test opens a report in it
  python3 python3-venv python3-psutil ca-certificates # psutil: time limits in lit
)

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
    missing+=("$package")
done
if ((${#missing[@]})); then
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root=()
  if ((EUID)); then
    command -v sudo >/dev/null ||
      die "installing packages needs root: run as root, install sudo, or apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get -qq update ||
    die "apt-get update failed; check the network and /etc/apt"
  "${as_root[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" >"${TMPDIR:-/tmp}/sq-apt.log" 2>&1 ||
    die "apt-get install failed, see ${TMPDIR:-/tmp}/sq-apt.log; LLVM 22 comes from Debian 12's bookworm-security"
fi

# onnx: Debian's 1.12 stops at opset 17. Static, against Debian's protobuf.
onnx_version=1.22.0
stamp="$onnx_version 1" # raise the second number when the build flags below change
if [[ $(cat "$deps/onnx/stamp" 2>/dev/null) == "$stamp" ]]; then exit 0; fi

say "building onnx $onnx_version (once, a few minutes)"
log=$deps/onnx-build.log
mkdir -p "$deps/download"
# pip prepares an archive's metadata even to download it, for which it would
# fetch onnx's build requirements unchecked; so they are pinned here, with the
# CMake that onnx wants (>= 3.26, Debian has 3.25).
venv setup-venv tools/scripts/requirements-setup.txt ||
  die "PyPI cannot be reached or a checksum differs; $pypi_remedy"
"$deps/setup-venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-build-isolation \
  --no-binary onnx --require-hashes -r tools/scripts/requirements-onnx.txt -d "$deps/download" \
  >"$log" 2>&1 || die "cannot download onnx, see $log; $pypi_remedy"

source=$deps/onnx-$onnx_version
rm -rf "$source" "$deps/onnx"
tar -C "$deps" -xzf "$deps/download/onnx-$onnx_version.tar.gz"
cmake=$deps/setup-venv/bin/cmake
{
  "$cmake" -S "$source" -B "$source/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 \
    -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DCMAKE_CXX_STANDARD=17 -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DONNX_BUILD_PYTHON=OFF \
    -DPython3_EXECUTABLE="$python" -DCMAKE_INSTALL_PREFIX="$deps/onnx" &&
    "$cmake" --build "$source/build" &&
    "$cmake" --install "$source/build"
} >>"$log" 2>&1 || die "building onnx failed, see $log"
rm -rf "$source/build"
echo "$stamp" >"$deps/onnx/stamp"
