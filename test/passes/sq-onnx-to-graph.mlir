// RUN: sq-opt %s --sq-onnx-to-graph | FileCheck %s
// RUN: sq-opt %s --sq-onnx-to-graph | sq-opt --sq-onnx-to-graph | FileCheck %s

// A linear layer and an exporter's GELU: one op each. No onnx op is left, and what
// is not used is gone.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>
// CHECK-NOT: onnx.
// CHECK-DAG: %[[W:.*]] = arith.constant dense<{{.*}}> : tensor<2x2xf32>
// CHECK-DAG: %[[B:.*]] = arith.constant dense<{{.*}}> : tensor<2xf32>
// CHECK: %[[N:.*]] = tensor.dim %[[X]], %{{.*}}
// CHECK: %[[E:.*]] = tensor.empty(%[[N]]) : tensor<?x2xf32>
// CHECK: %[[Z:.*]] = sq.linear ins(%[[X]], %[[W]] : {{.*}}) bias(%[[B]] : tensor<2xf32>) outs(%[[E]] : tensor<?x2xf32>)
// CHECK: %[[Y:.*]] = sq.gelu ins(%[[Z]] : tensor<?x2xf32>)
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]]
func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %w = onnx.Constant() {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %b = onnx.Constant() {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %p = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %unused = onnx.Sin(%p) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %z = onnx.Add(%p, %b) : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %a = onnx.Div(%z, %r2) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %e = onnx.Erf(%a) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %m = onnx.Mul(%z, %s) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
