// RUN: sq-opt %s --sq-raise-onnx --split-input-file | FileCheck %s

// The sum is an output of its own; the type of the function's result stays.
// CHECK-LABEL: @skip_layer_norm
// CHECK: %[[B:.*]] = onnx.Add(%arg0, %arg4)
// CHECK: %[[SUM:.*]] = onnx.Add(%[[B]], %arg1) : {{.*}} -> tensor<?x4xf32>
// CHECK: %[[Y:.*]] = onnx.LayerNormalization(%[[SUM]], %arg2, %arg3) {axis = -1 : i64, epsilon = 9.99999996E-13 : f32} : {{.*}} -> tensor<?x4xf32>
// CHECK: return %[[Y]], %[[SUM]]
func.func @skip_layer_norm(%x: tensor<?x4xf32>, %skip: tensor<?x4xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>, %bias: tensor<4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %y:4 = onnx.Custom "com.microsoft" "SkipLayerNormalization"(%x, %skip, %g, %b, %bias) attributes {attributes = {}, opset = 1 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, !onnx.unknown, !onnx.unknown, tensor<?x4xf32>)
  return %y#0, %y#3 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// The mean is not computed.
// CHECK-LABEL: @mean_is_used
// CHECK: onnx.Custom "com.microsoft" "SkipLayerNormalization"
func.func @mean_is_used(%x: tensor<?x4xf32>, %g: tensor<4xf32>) -> (tensor<?x4xf32>, tensor<?x1xf32>) {
  %y:2 = onnx.Custom "com.microsoft" "SkipLayerNormalization"(%x, %x, %g) attributes {attributes = {}, opset = 1 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<?x1xf32>)
  return %y#0, %y#1 : tensor<?x4xf32>, tensor<?x1xf32>
}

// -----

// onnxruntime writes ONNX's own norm into opsets that do not have it yet.
// CHECK-LABEL: @early_norms
// CHECK: %[[A:.*]] = onnx.LayerNormalization(%arg0, %arg1, %arg1) {axis = -1 : i64, epsilon = 0.00999999977 : f32}
// CHECK: onnx.RMSNormalization(%[[A]], %arg1) {axis = -1 : i64, epsilon = 9.99999974E-6 : f32}
func.func @early_norms(%x: tensor<?x4xf32>, %g: tensor<4xf32>) -> tensor<?x4xf32> {
  %y = onnx.Custom "ai.onnx" "LayerNormalization"(%x, %g, %g) attributes {attributes = {epsilon = 0.01 : f32}, opset = 14 : i64} : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> !onnx.unknown
  %z = onnx.Custom "ai.onnx" "SimplifiedLayerNormalization"(%y, %g) attributes {attributes = {axis = -1 : i64}, opset = 14 : i64} : (!onnx.unknown, tensor<4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @other_axis
// CHECK: onnx.Custom "ai.onnx" "LayerNormalization"
func.func @other_axis(%x: tensor<?x4xf32>, %g: tensor<4xf32>) -> tensor<?x4xf32> {
  %y = onnx.Custom "ai.onnx" "LayerNormalization"(%x, %g) attributes {attributes = {axis = 0 : i64}, opset = 14 : i64} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @activations
// CHECK: %[[S:.*]] = onnx.Add(%arg0, %arg1)
// CHECK: %[[A:.*]] = onnx.Gelu(%[[S]]) {approximate = "none"}
// CHECK: %[[B:.*]] = onnx.Gelu(%[[A]]) {approximate = "tanh"}
// CHECK: onnx.Swish(%[[B]]) {alpha = 1.702000e+00 : f32}
func.func @activations(%x: tensor<?x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Custom "com.microsoft" "BiasGelu"(%x, %b) attributes {attributes = {}, opset = 1 : i64} : (tensor<?x4xf32>, tensor<4xf32>) -> !onnx.unknown
  %1 = onnx.Custom "com.microsoft" "FastGelu"(%0) attributes {attributes = {}, opset = 1 : i64} : (!onnx.unknown) -> !onnx.unknown
  %2 = onnx.Custom "com.microsoft" "QuickGelu"(%1) attributes {attributes = {}, opset = 1 : i64} : (!onnx.unknown) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// -----

// Somebody else's operator of the same name, and one without its inputs.
// CHECK-LABEL: @unknown
// CHECK: onnx.Custom "com.example" "FastGelu"
// CHECK: onnx.Custom "com.microsoft" "BiasGelu"
func.func @unknown(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Custom "com.example" "FastGelu"(%x) attributes {attributes = {}, opset = 1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Custom "com.microsoft" "BiasGelu"(%0) attributes {attributes = {}, opset = 1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}
