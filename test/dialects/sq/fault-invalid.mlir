// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @type() {
  // expected-error@+1 {{result #0 must be 1D memref of 32-bit signless integer values}}
  %f = sq.fault : memref<1xf32>
  return
}
