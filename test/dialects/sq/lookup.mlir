// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @bytes
// CHECK: sq.lookup ins(%{{.*}} : tensor<?x8xi8>) outs(%{{.*}} : tensor<?x8xi8>) {table = dense<7> : tensor<256xi32>} -> tensor<?x8xi8>
func.func @bytes(%x: tensor<?x8xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.lookup ins(%x : tensor<?x8xi8>) outs(%init : tensor<?x8xi8>) {table = dense<7> : tensor<256xi32>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// CHECK-LABEL: @wider
// CHECK: sq.lookup ins(%{{.*}} : tensor<8xi8>) outs(%{{.*}} : tensor<8xi32>)
func.func @wider(%x: tensor<8xi8>, %init: tensor<8xi32>) -> tensor<8xi32> {
  %y = sq.lookup ins(%x : tensor<8xi8>) outs(%init : tensor<8xi32>) {table = dense<-70000> : tensor<256xi32>} -> tensor<8xi32>
  return %y : tensor<8xi32>
}
