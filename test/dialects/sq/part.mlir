// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @part
func.func @part(%x: memref<?x4xf32>, %i: index, %n: index) -> memref<?x4xf32> {
  // CHECK: sq.part %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x4xf32>
  %p = sq.part %x[%i, %n] : memref<?x4xf32>
  return %p : memref<?x4xf32>
}
