// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @fault
func.func @fault() -> memref<1xi32> {
  // CHECK: sq.fault : memref<1xi32>
  %f = sq.fault : memref<1xi32>
  return %f : memref<1xi32>
}
