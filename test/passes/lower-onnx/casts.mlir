// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Floats to integers truncate and saturate; NaN is 0.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>) -> (tensor<4xi32>, tensor<4xui8>) {
  // CHECK: %[[N:.*]] = arith.cmpf ord, %[[X:.*]], %[[X]]
  // CHECK: %[[S:.*]] = arith.select %[[N]], %[[X]]
  // CHECK: %[[L:.*]] = arith.maximumf %[[S]], %{{.*}}
  // CHECK: %[[H:.*]] = arith.minimumf %[[L]], %{{.*}}
  // CHECK: arith.fptosi %[[H]] : f32 to i32
  // CHECK: arith.fptoui %{{.*}} : f32 to i8
  %a = onnx.Cast(%x) {to = 6 : i64} : (tensor<4xf32>) -> tensor<4xi32>
  %b = onnx.Cast(%x) {to = 2 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  return %a, %b : tensor<4xi32>, tensor<4xui8>
}

// -----

// The bounds are the largest floats that fit.
// CHECK-LABEL: func.func @main
func.func @main() -> (tensor<4xi32>, tensor<3xui8>) {
  // CHECK-DAG: arith.constant dense<[2147483520, -2147483648, 0, -1]> : tensor<4xi32>
  // CHECK-DAG: arith.constant dense<[-1, 0, 127]> : tensor<3xi8>
  %x = onnx.Constant() {value = dense<[1.0e20, -1.0e20, 0x7FC00000, -1.9]> : tensor<4xf32>} : () -> tensor<4xf32>
  %a = onnx.Cast(%x) {to = 6 : i64} : (tensor<4xf32>) -> tensor<4xi32>
  %y = onnx.Constant() {value = dense<[300.0, -7.0, 127.9]> : tensor<3xf32>} : () -> tensor<3xf32>
  %b = onnx.Cast(%y) {to = 2 : i64} : (tensor<3xf32>) -> tensor<3xui8>
  return %a, %b : tensor<4xi32>, tensor<3xui8>
}

// -----

// Signedness is that of the ONNX type.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xi8>, %u: tensor<4xui8>, %b: tensor<4xi1>, %h: tensor<4xf16>) -> (tensor<4xi64>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>, tensor<4xi1>, tensor<4xbf16>, tensor<4xui8>) {
  // CHECK: arith.extsi %{{.*}} : i8 to i64
  // CHECK: arith.extui %{{.*}} : i8 to i64
  // CHECK: arith.uitofp %{{.*}} : i8 to f32
  // CHECK: arith.uitofp %{{.*}} : i1 to f32
  // CHECK: arith.cmpf une
  // CHECK: arith.extf %{{.*}} : f16 to f32
  // CHECK-NEXT: arith.truncf %{{.*}} : f32 to bf16
  // i8 and ui8 have the same bits: nothing to do.
  // CHECK: return {{.*}}, %arg0 :
  %a = onnx.Cast(%x) {to = 7 : i64} : (tensor<4xi8>) -> tensor<4xi64>
  %c = onnx.Cast(%u) {to = 7 : i64} : (tensor<4xui8>) -> tensor<4xi64>
  %d = onnx.Cast(%u) {to = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  %e = onnx.CastLike(%b, %d) : (tensor<4xi1>, tensor<4xf32>) -> tensor<4xf32>
  %f = onnx.Cast(%h) {to = 9 : i64} : (tensor<4xf16>) -> tensor<4xi1>
  %g = onnx.Cast(%h) {to = 16 : i64} : (tensor<4xf16>) -> tensor<4xbf16>
  %i = onnx.Cast(%x) {to = 2 : i64} : (tensor<4xi8>) -> tensor<4xui8>
  return %a, %c, %d, %e, %f, %g, %i : tensor<4xi64>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>, tensor<4xi1>, tensor<4xbf16>, tensor<4xui8>
}
