// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @one
func.func @one(%i: tensor<?xi64>, %t: tensor<9x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.embedding ins(%{{.*}} : tensor<?xi64>) tables(%{{.*}} : tensor<9x8xf32>) outs(%{{.*}} : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = sq.embedding ins(%i : tensor<?xi64>) tables(%t : tensor<9x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @three
func.func @three(%i: tensor<?x?xi64>, %j: tensor<?xi64>, %k: tensor<1x?xi64>, %t: tensor<9x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // CHECK: sq.embedding ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?xi64>, tensor<?xi64>, tensor<1x?xi64>) tables(%{{.*}}, %{{.*}}, %{{.*}} : tensor<9x8xf32>, tensor<9x8xf32>, tensor<9x8xf32>) outs(
  %y = sq.embedding ins(%i, %j, %k : tensor<?x?xi64>, tensor<?xi64>, tensor<1x?xi64>) tables(%t, %t, %t : tensor<9x8xf32>, tensor<9x8xf32>, tensor<9x8xf32>) outs(%init : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @bytes
func.func @bytes(%i: tensor<?xi64>, %j: tensor<?xi64>, %t: tensor<9x8xi8>, %u: tensor<5x8xf32>, %s: tensor<9xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.embedding ins(%{{.*}}, %{{.*}} : tensor<?xi64>, tensor<?xi64>) tables(%{{.*}}, %{{.*}} : tensor<5x8xf32>, tensor<9x8xi8>) scales(%{{.*}} : tensor<9xf32>) outs(
  %y = sq.embedding ins(%j, %i : tensor<?xi64>, tensor<?xi64>) tables(%u, %t : tensor<5x8xf32>, tensor<9x8xi8>) scales(%s : tensor<9xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
