// RUN: sq-opt %s --sq-fuse-dense-and-sparse | FileCheck %s
// RUN: sq-opt %s --sq-fuse-dense-and-sparse --sq-fuse-dense-and-sparse | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: @named
// CHECK: %[[Y:.*]] = sq.dense_and_sparse_matmul ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%{{.*}} : tensor<?x8xf32>)
// CHECK-NEXT: return %[[Y]]
func.func @named(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.add ins(%a, %b : tensor<?x8xf32>, tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// In the other order, and as a loop.
// CHECK-LABEL: @generic
// CHECK: %[[Y:.*]] = sq.dense_and_sparse_matmul ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>, tensor<8x40xf16>) outs(%{{.*}} : tensor<?x8xf32>)
// CHECK-NEXT: return %[[Y]]
func.func @generic(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%b, %a : tensor<?x8xf32>, tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @difference
// CHECK-NOT: dense_and_sparse
// CHECK: return
func.func @difference(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%b, %a : tensor<?x8xf32>, tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.subf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @other_user
// CHECK-NOT: dense_and_sparse
// CHECK: return
func.func @other_user(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.add ins(%a, %b : tensor<?x8xf32>, tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y, %a : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: @other_input
// CHECK-NOT: dense_and_sparse
// CHECK: return
func.func @other_input(%x: tensor<?x40xf32>, %z: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %s: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.csr_matmul ins(%z, %s : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.add ins(%a, %b : tensor<?x8xf32>, tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
