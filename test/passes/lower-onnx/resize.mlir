// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Resize and Upsample: one table per resized dim, then one gather or sums of taps.

// A scale that is a small fraction keeps sizes integers; n and c are not touched.
// CHECK-LABEL: func.func @main
// CHECK: %[[W:.*]] = arith.muli %{{.*}}, %{{.*}} : i64
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?xi64>)
// CHECK: arith.divf
// CHECK: math.ceil
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<?xi64>) outs(%{{.*}} : tensor<?x3x8x?xf32>)
// CHECK: tensor.extract %arg0
// CHECK-NOT: linalg.generic
module attributes {onnx.opset_imports = {"ai.onnx" = 19 : i64}} {
  func.func @main(%x: tensor<?x3x8x?xf32> {onnx.dims = ["n", "", "", "w"]}) -> tensor<*xf32> {
    %none = onnx.NoValue
    %scales = onnx.Constant() {value = dense<[1.0, 1.0, 1.0, 2.0]> : tensor<4xf32>} : () -> tensor<4xf32>
    %y = onnx.Resize(%x, %none, %scales) : (tensor<?x3x8x?xf32>, none, tensor<4xf32>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// Linear: two neighbours per dim, in one generic.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-4: linalg.generic {{.*}} ["parallel"]}
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x3x12x20xf16>)
// CHECK-COUNT-4: tensor.extract %arg0
// CHECK: arith.truncf
// CHECK-NOT: linalg.generic
module attributes {onnx.opset_imports = {"ai.onnx" = 13 : i64}} {
  func.func @main(%x: tensor<1x3x8x8xf16>) -> tensor<*xf16> {
    %none = onnx.NoValue
    %sizes = onnx.Constant() {value = dense<[1, 3, 12, 20]> : tensor<4xi64>} : () -> tensor<4xi64>
    %y = onnx.Resize(%x, %none, %none, %sizes) {mode = "linear"} : (tensor<1x3x8x8xf16>, none, none, tensor<4xi64>) -> tensor<*xf16>
    return %y : tensor<*xf16>
  }
}

// -----

// Cubic: dim after dim, four taps each; weights that sum to 1 only when asked for.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<20x4xf32>)
// CHECK: linalg.generic {{.*}}"reduction"]} ins(%{{.*}}, %{{.*}} : tensor<20x4xf32>, tensor<20xi64>) outs(%{{.*}} : tensor<1x3x8x20xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<12x4xf32>)
// CHECK: linalg.generic {{.*}}"reduction"]} ins(%{{.*}}, %{{.*}} : tensor<12x4xf32>, tensor<12xi64>) outs(%{{.*}} : tensor<1x3x12x20xf32>)
module attributes {onnx.opset_imports = {"ai.onnx" = 18 : i64}} {
  func.func @main(%x: tensor<1x3x8x8xf32>) -> tensor<*xf32> {
    %none = onnx.NoValue
    %sizes = onnx.Constant() {value = dense<[20, 12]> : tensor<2xi64>} : () -> tensor<2xi64>
    %y = onnx.Resize(%x, %none, %none, %sizes) {mode = "cubic", axes = array<i64: 3, 2>} : (tensor<1x3x8x8xf32>, none, none, tensor<2xi64>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// Half the size with antialiasing: eight taps, normalised.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<8x8xf64>)
// CHECK: linalg.generic {{.*}}"reduction"]} ins(%{{.*}} : tensor<8x8xf64>) outs(%{{.*}} : tensor<8xf64>)
// CHECK: arith.divf
// CHECK: arith.truncf %{{.*}} : f64 to f32
module attributes {onnx.opset_imports = {"ai.onnx" = 18 : i64}} {
  func.func @main(%x: tensor<1x16xf32>) -> tensor<*xf32> {
    %none = onnx.NoValue
    %sizes = onnx.Constant() {value = dense<[1, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
    %y = onnx.Resize(%x, %none, %none, %sizes) {mode = "cubic", antialias = 1 : i64} : (tensor<1x16xf32>, none, none, tensor<2xi64>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// Sizes read at run time: negative ones are refused then, and what the model declares
// of the result is checked and used.
// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "Resize: the size of dimension 1 is negative"
// CHECK: cf.assert %{{.*}}, "Resize: dimension 1 of its result, declared and computed, of the operands differs"
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<4x6xf32>)
module attributes {onnx.opset_imports = {"ai.onnx" = 13 : i64}} {
  func.func @main(%x: tensor<4x3xf32>, %sizes: tensor<2xi64>) -> tensor<4x6xf32> {
    %none = onnx.NoValue
    %y = onnx.Resize(%x, %none, %none, %sizes) : (tensor<4x3xf32>, none, none, tensor<2xi64>) -> tensor<4x6xf32>
    return %y : tensor<4x6xf32>
  }
}

// -----

// Outside of the region there is the extrapolation value.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<6xi1>)
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<6xi64>, tensor<6xi1>)
// CHECK: %[[TEN:.*]] = arith.constant 1.000000e+01 : f32
// CHECK: arith.select %{{.*}}, %[[TEN]], %{{.*}} : f32
module attributes {onnx.opset_imports = {"ai.onnx" = 13 : i64}} {
  func.func @main(%x: tensor<4x3xf32>) -> tensor<*xf32> {
    %none = onnx.NoValue
    %roi = onnx.Constant() {value = dense<[0.0, -0.5, 1.0, 1.5]> : tensor<4xf32>} : () -> tensor<4xf32>
    %sizes = onnx.Constant() {value = dense<[4, 6]> : tensor<2xi64>} : () -> tensor<2xi64>
    %y = onnx.Resize(%x, %roi, %none, %sizes) {coordinate_transformation_mode = "tf_crop_and_resize", extrapolation_value = 10.0 : f32} : (tensor<4x3xf32>, tensor<4xf32>, none, tensor<2xi64>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// What changes nothing is nothing.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: return %arg0
module attributes {onnx.opset_imports = {"ai.onnx" = 9 : i64}} {
  func.func @main(%x: tensor<4x3xf32>) -> tensor<*xf32> {
    %scales = onnx.Constant() {value = dense<1.0> : tensor<2xf32>} : () -> tensor<2xf32>
    %y = onnx.Upsample(%x, %scales) : (tensor<4x3xf32>, tensor<2xf32>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}
