// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @count
func.func @count() -> index {
  // CHECK: sq.threads : index
  %n = sq.threads : index
  return %n : index
}
