// RUN: not sq-opt %s --sq-lower-onnx 2>&1 | FileCheck %s

// All failures at once, equal ones counted; what depends on a failure is not reported.
// CHECK: error: cannot lower com.example.Frob (opset 2): not supported yet (2 nodes, the first is 'frob 1')
// CHECK: error: cannot lower Erf: its input 'input' has elements of type bool; it takes bfloat16, double, float, float16 (node 'Erf')
// CHECK: error: cannot lower Expand: its input `shape` has an unknown number of elements, of which none is known before the run; at most 64 are read at run time (node 'grow')
// CHECK-NOT: error:
module attributes {onnx.opset_imports = {"ai.onnx" = 17 : i64, "com.example" = 2 : i64}} {
  func.func @main(%x: tensor<4xf32>, %p: tensor<4xi1>, %n: tensor<?xi64>) -> (tensor<4xf32>, tensor<*xf32>) {
    %a = onnx.Custom "com.example" "Frob"(%x) attributes {opset = 2 : i64} : (tensor<4xf32>) -> tensor<4xf32> loc("frob 1")
    %b = onnx.Custom "com.example" "Frob"(%x) attributes {opset = 2 : i64} : (tensor<4xf32>) -> tensor<4xf32> loc("frob 2")
    %c = onnx.Erf(%p) : (tensor<4xi1>) -> tensor<4xi1>
    %d = onnx.Add(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %e = onnx.Expand(%x, %n) : (tensor<4xf32>, tensor<?xi64>) -> tensor<*xf32> loc("grow")
    return %d, %e : tensor<4xf32>, tensor<*xf32>
  }
}
