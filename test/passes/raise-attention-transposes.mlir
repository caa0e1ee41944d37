// RUN: sq-opt %s --sq-raise-attention --canonicalize --cse | FileCheck %s

// Heads that are turned in part: sliced, put together again and transposed back.

// CHECK-LABEL: @parts
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x4x8xf32>, %[[R:.*]]: tensor<?x?x4x6xf32>
// CHECK-NOT: linalg.transpose
// CHECK: %[[EMPTY:.*]] = tensor.empty(%{{.*}}, %{{.*}}) : tensor<?x?x4x8xf32>
// CHECK: %[[A:.*]] = tensor.insert_slice %[[R]] into %[[EMPTY]][0, 0, 0, 0] [%[[B:.*]], %[[S:.*]], 4, 6] [1, 1, 1, 1]
// CHECK: %[[REST:.*]] = tensor.extract_slice %[[X]][0, 0, 0, 6] [%[[B]], %[[S]], 4, 2] [1, 1, 1, 1]
// CHECK: %[[Y:.*]] = tensor.insert_slice %[[REST]] into %[[A]][0, 0, 0, 6] [%[[B]], %[[S]], 4, 2] [1, 1, 1, 1]
// CHECK-NOT: linalg.transpose
// CHECK: return %[[Y]]
func.func @parts(%x: tensor<?x?x4x8xf32>, %turned: tensor<?x?x4x6xf32>, %b: index, %s: index) -> tensor<?x?x4x8xf32> {
  %e8 = tensor.empty(%b, %s) : tensor<?x4x?x8xf32>
  %e6 = tensor.empty(%b, %s) : tensor<?x4x?x6xf32>
  %ey = tensor.empty(%b, %s) : tensor<?x?x4x8xf32>
  %xt = linalg.transpose ins(%x : tensor<?x?x4x8xf32>) outs(%e8 : tensor<?x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %tt = linalg.transpose ins(%turned : tensor<?x?x4x6xf32>) outs(%e6 : tensor<?x4x?x6xf32>) permutation = [0, 2, 1, 3]
  %rest = tensor.extract_slice %xt[0, 0, 0, 6] [%b, 4, %s, 2] [1, 1, 1, 1] : tensor<?x4x?x8xf32> to tensor<?x4x?x2xf32>
  %a = tensor.insert_slice %tt into %e8[0, 0, 0, 0] [%b, 4, %s, 6] [1, 1, 1, 1] : tensor<?x4x?x6xf32> into tensor<?x4x?x8xf32>
  %y = tensor.insert_slice %rest into %a[0, 0, 0, 6] [%b, 4, %s, 2] [1, 1, 1, 1] : tensor<?x4x?x2xf32> into tensor<?x4x?x8xf32>
  %yt = linalg.transpose ins(%y : tensor<?x4x?x8xf32>) outs(%ey : tensor<?x?x4x8xf32>) permutation = [0, 2, 1, 3]
  return %yt : tensor<?x?x4x8xf32>
}

// A slice of what is transposed in another way keeps both.
// CHECK-LABEL: @another_order
// CHECK: linalg.transpose {{.*}} permutation = [0, 2, 3, 1]
// CHECK: tensor.extract_slice
// CHECK: linalg.transpose {{.*}} permutation = [0, 2, 3, 1]
func.func @another_order(%x: tensor<2x3x4x8xf32>) -> tensor<2x6x3x4xf32> {
  %e = tensor.empty() : tensor<2x4x8x3xf32>
  %ey = tensor.empty() : tensor<2x6x3x4xf32>
  %xt = linalg.transpose ins(%x : tensor<2x3x4x8xf32>) outs(%e : tensor<2x4x8x3xf32>) permutation = [0, 2, 3, 1]
  %slice = tensor.extract_slice %xt[0, 0, 1, 0] [2, 4, 6, 3] [1, 1, 1, 1] : tensor<2x4x8x3xf32> to tensor<2x4x6x3xf32>
  %y = linalg.transpose ins(%slice : tensor<2x4x6x3xf32>) outs(%ey : tensor<2x6x3x4xf32>) permutation = [0, 2, 3, 1]
  return %y : tensor<2x6x3x4xf32>
}

// Keys put after those of the past, which are no transposition: one more would
// be made of it.
// CHECK-LABEL: @past
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK: %[[Y:.*]] = linalg.transpose
// CHECK: return %[[Y]]
func.func @past(%past: tensor<2x4x5x8xf32>, %x: tensor<2x3x4x8xf32>) -> tensor<2x8x4x8xf32> {
  %ex = tensor.empty() : tensor<2x4x3x8xf32>
  %e = tensor.empty() : tensor<2x4x8x8xf32>
  %ey = tensor.empty() : tensor<2x8x4x8xf32>
  %xt = linalg.transpose ins(%x : tensor<2x3x4x8xf32>) outs(%ex : tensor<2x4x3x8xf32>) permutation = [0, 2, 1, 3]
  %a = tensor.insert_slice %past into %e[0, 0, 0, 0] [2, 4, 5, 8] [1, 1, 1, 1] : tensor<2x4x5x8xf32> into tensor<2x4x8x8xf32>
  %all = tensor.insert_slice %xt into %a[0, 0, 5, 0] [2, 4, 3, 8] [1, 1, 1, 1] : tensor<2x4x3x8xf32> into tensor<2x4x8x8xf32>
  %y = linalg.transpose ins(%all : tensor<2x4x8x8xf32>) outs(%ey : tensor<2x8x4x8xf32>) permutation = [0, 2, 1, 3]
  return %y : tensor<2x8x4x8xf32>
}
