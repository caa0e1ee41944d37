// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @of_bytes
func.func @of_bytes(%bytes: index) -> memref<?xi8> {
  // CHECK: sq.arena %{{.*}} : memref<?xi8>
  %a = sq.arena %bytes : memref<?xi8>
  return %a : memref<?xi8>
}
