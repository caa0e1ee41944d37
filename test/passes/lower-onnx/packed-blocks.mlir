// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected --remarks-filter=sq-lower-onnx | FileCheck %s

// Constant numbers of 4 bits stay codes: 40 of two blocks, with what is behind them in the last one cleared. Their zero point is 8.
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[C:.*]] = arith.constant dense_resource<codes> : tensor<1x8xi32>
// CHECK-DAG: %[[S:.*]] = arith.constant dense_resource<scales> : tensor<1x2xf32>
// CHECK: sq.grouped_matmul ins(%{{.*}}, %[[C]], %[[S]] : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x2xf32>) outs({{.*}}) {bits = 4 : i64, float_input, group_size = 32 : i64, zero_point = 8 : i64}
// CHECK: codes: "0x400000002121212121212121212121212121212121212121000000000000000000000000"
func.func @main(%a: tensor<?x40xf32>) -> tensor<?x1xf32> {
  %b = onnx.Constant() {value = dense<33> : tensor<1x2x16xui8>} : () -> tensor<1x2x16xui8>
  %s = onnx.Constant() {value = dense<0.5> : tensor<2xf32>} : () -> tensor<2xf32>
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s) attributes {attributes = {K = 40 : i64, N = 1 : i64, bits = 4 : i64, block_size = 32 : i64}, opset = 1 : i64} : (tensor<?x40xf32>, tensor<1x2x16xui8>, tensor<2xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// Zero points of each group, scales of 16 bits, three dims, and a model that lets A be rounded to 8 bits.
// CHECK-LABEL: func.func @main
// CHECK: sq.grouped_matmul ins(%{{.*}} : tensor<2x?x16xf32>, tensor<2x3xi32>, tensor<2x1xf16>, tensor<2x1xi8>) outs({{.*}}) {bits = 3 : i64, group_size = 16 : i64}
// CHECK: zero_points: "0x400000000105"
func.func @main(%a: tensor<2x?x16xf32>) -> tensor<2x?x2xf32> {
  %b = onnx.Constant() {value = dense<33> : tensor<2x1x6xui8>} : () -> tensor<2x1x6xui8>
  %s = onnx.Constant() {value = dense<0.5> : tensor<2xf16>} : () -> tensor<2xf16>
  %z = onnx.Constant() {value = dense<[1, 5]> : tensor<2xui8>} : () -> tensor<2xui8>
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s, %z) attributes {attributes = {K = 16 : i64, N = 2 : i64, accuracy_level = 4 : i64, bits = 3 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<2x?x16xf32>, tensor<2x1x6xui8>, tensor<2xf16>, tensor<2xui8>) -> tensor<2x?x2xf32>
  return %y : tensor<2x?x2xf32>
}

// -----

// Zero points that are no whole numbers are the least values of their groups.
// CHECK-LABEL: func.func @main
// CHECK: sq.grouped_matmul ins(%{{.*}} : tensor<1x16xf32>, tensor<1x2xi32>, tensor<1x1xf32>, tensor<1x1xf32>)
// CHECK: minima: "0x40000000000040BF"
func.func @main(%a: tensor<16xf32>) -> tensor<1xf32> {
  %none = onnx.NoValue
  %b = onnx.Constant() {value = dense<33> : tensor<1x1x4xui8>} : () -> tensor<1x1x4xui8>
  %s = onnx.Constant() {value = dense<0.5> : tensor<1xf32>} : () -> tensor<1xf32>
  %z = onnx.Constant() {value = dense<1.5> : tensor<1xf32>} : () -> tensor<1xf32>
  %g = onnx.Constant() {value = dense<0> : tensor<16xi32>} : () -> tensor<16xi32>
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s, %z, %g) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 2 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<16xf32>, tensor<1x1x4xui8>, tensor<1xf32>, tensor<1xf32>, tensor<16xi32>) -> tensor<1xf32>
  return %y : tensor<1xf32>
}

// -----

// Eight bits, columns that have scales of any groups, scales that are no numbers: a matrix.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-3: sq.linear {{.*}}transpose_weight
func.func @main(%a: tensor<?x32xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>) {
  %none = onnx.NoValue
  %b = onnx.Constant() {value = dense<33> : tensor<1x2x8xui8>} : () -> tensor<1x2x8xui8>
  %b8 = onnx.Constant() {value = dense<33> : tensor<1x2x16xui8>} : () -> tensor<1x2x16xui8>
  %s = onnx.Constant() {value = dense<0.5> : tensor<2xf32>} : () -> tensor<2xf32>
  %inf = onnx.Constant() {value = dense<0x7F800000> : tensor<2xf32>} : () -> tensor<2xf32>
  %g = onnx.Constant() {value = dense<0> : tensor<32xi32>} : () -> tensor<32xi32>
  // expected-remark @below {{a weight of floats instead of codes: numbers of 8 bits; there are kernels for 2 to 4}}
  %x = onnx.Custom "sq" "MatMulBlocks"(%a, %b8, %s) attributes {attributes = {K = 32 : i64, N = 1 : i64, bits = 8 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<?x32xf32>, tensor<1x2x16xui8>, tensor<2xf32>) -> tensor<?x1xf32>
  // expected-remark @below {{a weight of floats instead of codes: g_idx scatters groups over columns}}
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s, %none, %g) attributes {attributes = {K = 32 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<?x32xf32>, tensor<1x2x8xui8>, tensor<2xf32>, none, tensor<32xi32>) -> tensor<?x1xf32>
  // expected-remark @below {{a weight of floats instead of codes: scales are not all finite}}
  %z = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %inf) attributes {attributes = {K = 32 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<?x32xf32>, tensor<1x2x8xui8>, tensor<2xf32>) -> tensor<?x1xf32>
  return %x, %y, %z : tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>
}

// -----

// What only the run knows is unpacked there.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: arith.shrui
// CHECK: arith.andi
// CHECK: sq.matmul
func.func @main(%a: tensor<?x16xf32>, %b: tensor<1x1x8xui8>, %s: tensor<1xf16>) -> tensor<?x1xf32> {
  // expected-remark @below {{a weight of floats instead of codes: B, scales or zero_points are not constant}}
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<?x16xf32>, tensor<1x1x8xui8>, tensor<1xf16>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

func.func @main(%a: tensor<1x16xf32>, %b: tensor<1x1x8xui8>, %s: tensor<2xf32>) -> (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>) {
  // expected-error @below {{cannot lower sq.MatMulBlocks (opset 1): B is not 16 bytes (uint8) (node 'Custom')}}
  %x = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s) attributes {attributes = {K = 17 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x16xf32>, tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<1x1xf32>
  // expected-error @below {{cannot lower sq.MatMulBlocks (opset 1): scales are not 1 floats (node 'Custom')}}
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x16xf32>, tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<1x1xf32>
  // expected-error @below {{cannot lower sq.MatMulBlocks (opset 1): K or N (1 to 2^30), bits (2 to 8) or block_size (a power of 2 from 16 to 2^30) is not valid (node 'Custom')}}
  %z = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 9 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x16xf32>, tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<1x1xf32>
  return %x, %y, %z : tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>
}

// -----

func.func @main(%a: tensor<1x16xf32>, %wide: tensor<1x17xf32>, %b: tensor<1x1x8xui8>, %s: tensor<1xf32>, %any: tensor<16xi32>) -> (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>) {
  %none = onnx.NoValue
  %g = onnx.Constant() {value = dense<7> : tensor<16xi32>} : () -> tensor<16xi32>
  %cb = onnx.Constant() {value = dense<33> : tensor<1x1x8xui8>} : () -> tensor<1x1x8xui8>
  %cs = onnx.Constant() {value = dense<0.5> : tensor<1xf32>} : () -> tensor<1xf32>
  // expected-error @below {{cannot lower sq.MatMulBlocks (opset 1): g_idx has 7 for column 0; there are blocks 0 to 0 (node 'Custom')}}
  %y = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s, %none, %g) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x16xf32>, tensor<1x1x8xui8>, tensor<1xf32>, none, tensor<16xi32>) -> tensor<1x1xf32>
  // expected-error @below {{cannot lower sq.MatMulBlocks (opset 1): g_idx is not a constant of at least K = 16 numbers (int32) (node 'Custom')}}
  %z = onnx.Custom "sq" "MatMulBlocks"(%a, %b, %s, %none, %any) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x16xf32>, tensor<1x1x8xui8>, tensor<1xf32>, none, tensor<16xi32>) -> tensor<1x1xf32>
  // expected-error @below {{the contraction dimension}}
  %w = onnx.Custom "sq" "MatMulBlocks"(%wide, %cb, %cs) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x17xf32>, tensor<1x1x8xui8>, tensor<1xf32>) -> tensor<1x1xf32>
  return %y, %z, %w : tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>
}
