// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @dynamic
func.func @dynamic(%n: index) -> memref<?x4xf32> {
  // CHECK: sq.output 0(%{{.*}}) : memref<?x4xf32>
  %o = sq.output 0(%n) : memref<?x4xf32>
  return %o : memref<?x4xf32>
}

// CHECK-LABEL: @fixed
func.func @fixed() -> memref<4xf32> {
  // CHECK: sq.output 1() : memref<4xf32>
  %o = sq.output 1() : memref<4xf32>
  return %o : memref<4xf32>
}
