// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// What is chosen is counted while its places are numbered, scattered to these, and cut
// to the count that is read back.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} ["reduction"]} ins(%{{.*}} : tensor<?xi1>) outs(%{{.*}}, %{{.*}} : tensor<i64>, tensor<?xi64>)
// CHECK: sq.scatter "replace" ins(%{{.*}} : tensor<1x?xi64>, tensor<1x?x1xi64>) outs(%{{.*}} : tensor<1x?x1xi64>)
// CHECK: %[[N:.*]] = tensor.extract %{{.*}}[] : tensor<i64>
// CHECK: tensor.extract_slice %{{.*}}[0] [%{{.*}}] [1] : tensor<?xi64> to tensor<?xi64>
// CHECK: return %{{.*}} : tensor<2x?xi64>
func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["n", ""]}) -> tensor<2x?xi64> {
  %y = onnx.NonZero(%x) : (tensor<?x4xf32>) -> tensor<2x?xi64>
  return %y : tensor<2x?xi64>
}

// -----

// One box a step leaves the race, for all batches and classes at once.
// CHECK-LABEL: func.func @main
// CHECK: scf.for {{.*}} -> (tensor<1x2x6xf32>, tensor<1x2x?xi64>)
// CHECK: linalg.generic {{.*}} ["parallel", "parallel", "reduction"]
// CHECK: tensor.insert_slice
// CHECK: scf.yield
// CHECK: sq.scatter
func.func @main(%boxes: tensor<1x6x4xf32> {onnx.name = "b"}, %scores: tensor<1x2x6xf32> {onnx.name = "s"}, %most: tensor<1xi64> {onnx.name = "m"}) -> tensor<?x3xi64> {
  %y = onnx.NonMaxSuppression(%boxes, %scores, %most) : (tensor<1x6x4xf32>, tensor<1x2x6xf32>, tensor<1xi64>) -> tensor<?x3xi64>
  return %y : tensor<?x3xi64>
}
