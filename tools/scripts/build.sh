#!/bin/bash
# Builds everything; SQ_PRESET chooses a preset of CMakePresets.json.
source "$(dirname "$0")/common.sh"

if [[ ! -f $build/build.ninja ]]; then
  mkdir -p "$build"
  cmake --preset "$preset" >"$build/configure.log" 2>&1 ||
    { tail -20 "$build/configure.log"; die "configuring failed, see $build/configure.log"; }
fi
quiet=()
[[ -t 1 ]] || quiet=(--quiet)
NINJA_STATUS='[%f/%t] ' ninja -C "$build" "${quiet[@]}" || die "the build failed"
say "built: $(cd "$build/bin" && echo *) in $build/bin"
