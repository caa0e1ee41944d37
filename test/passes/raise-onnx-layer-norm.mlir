// RUN: sq-opt %s --sq-raise-onnx | FileCheck %s

// Layer normalization. What is not raised keeps its ReduceMean.

// CHECK-LABEL: @layer_norm_pow_div
// CHECK-NOT: onnx.ReduceMean
// CHECK: %[[Y:.*]] = onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) {{.*}}axis = -1 : i64, epsilon = 9.99999996E-13 : f32
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_pow_div(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_axes_input
// CHECK-NOT: onnx.ReduceMean
// CHECK: %[[Y:.*]] = onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) {{.*}}axis = -1 : i64, epsilon = 9.99999996E-13 : f32
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_axes_input(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %axes = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %mean = onnx.ReduceMean(%x, %axes) {keepdims = 1 : i64} : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %c2 = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Mul(%c2, %c2) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq, %axes) {keepdims = 1 : i64} : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_reciprocal_commuted
// CHECK-NOT: onnx.ReduceMean
// CHECK: %[[Y:.*]] = onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) {{.*}}axis = -1 : i64, epsilon = 9.99999996E-13 : f32
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_reciprocal_commuted(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%eps, %var) : (tensor<f32>, tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %r = onnx.Reciprocal(%dev) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Mul(%c, %r) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%scale, %n) : (tensor<8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%bias, %p) : (tensor<8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_one_over
// CHECK-NOT: onnx.ReduceMean
// CHECK: %[[Y:.*]] = onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) {{.*}}axis = -1 : i64, epsilon = 9.99999996E-13 : f32
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_one_over(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r = onnx.Div(%one, %dev) : (tensor<f32>, tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Mul(%r, %c) : (tensor<?x?x1xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_without_bias
// CHECK-NOT: onnx.ReduceMean
// CHECK: %[[Y:.*]] = onnx.LayerNormalization(%arg0, %{{[^,]*}}) {{.*}}axis = -1 : i64
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_without_bias(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %p : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_wrong_axis
// CHECK-NOT: onnx.LayerNormalization
// CHECK: onnx.ReduceMean
func.func @layer_norm_wrong_axis(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: 1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: 1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_different_axes
// CHECK-NOT: onnx.LayerNormalization
// CHECK: onnx.ReduceMean
func.func @layer_norm_different_axes(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: 1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_wrong_exponent
// CHECK-NOT: onnx.LayerNormalization
// CHECK: onnx.ReduceMean
func.func @layer_norm_wrong_exponent(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_negative_epsilon
// CHECK-NOT: onnx.LayerNormalization
// CHECK: onnx.ReduceMean
func.func @layer_norm_negative_epsilon(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<-1.0> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf32>} : () -> tensor<8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// The scale would broadcast the unknown leading dimensions.
// CHECK-LABEL: @layer_norm_scale_too_large
// CHECK-NOT: onnx.LayerNormalization
// CHECK: onnx.ReduceMean
func.func @layer_norm_scale_too_large(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<9.99999996E-13> : tensor<f32>} : () -> tensor<f32>
  %scale = onnx.Constant() {value = dense<1.5> : tensor<3x5x8xf32>} : () -> tensor<3x5x8xf32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<3x5x8xf32>} : () -> tensor<3x5x8xf32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>, keepdims = 1 : i64} : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x?x8xf32>, tensor<?x?x1xf32>) -> tensor<?x?x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x?x8xf32>, tensor<3x5x8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Add(%p, %bias) : (tensor<?x?x8xf32>, tensor<3x5x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// CHECK-LABEL: @layer_norm_two_axes
// CHECK: onnx.LayerNormalization(%arg0, %{{[^,]*}}) {{.*}}axis = -2 : i64
func.func @layer_norm_two_axes(%x: tensor<?x4x8xf32>, %scale: tensor<4x8xf32>) -> tensor<?x4x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<1.0e-5> : tensor<f32>} : () -> tensor<f32>
  %mean = onnx.ReduceMean(%x) {axes = array<i64: 1, 2>} : (tensor<?x4x8xf32>) -> tensor<?x1x1xf32>
  %c = onnx.Sub(%x, %mean) : (tensor<?x4x8xf32>, tensor<?x1x1xf32>) -> tensor<?x4x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x4x8xf32>, tensor<f32>) -> tensor<?x4x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1, -2>} : (tensor<?x4x8xf32>) -> tensor<?x1x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x1x1xf32>, tensor<f32>) -> tensor<?x1x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x1x1xf32>) -> tensor<?x1x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x4x8xf32>, tensor<?x1x1xf32>) -> tensor<?x4x8xf32>
  %p = onnx.Mul(%n, %scale) : (tensor<?x4x8xf32>, tensor<4x8xf32>) -> tensor<?x4x8xf32>
  return %p : tensor<?x4x8xf32>
}

// Half precision around a normalization in f32.
// CHECK-LABEL: @layer_norm_casts
// CHECK-NOT: onnx.Cast
// CHECK: onnx.LayerNormalization(%arg0, %arg1, %{{.*}}) {{.*}} -> tensor<?x8xf16>
func.func @layer_norm_casts(%x: tensor<?x8xf16>, %scale: tensor<8xf16>) -> tensor<?x8xf16> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = onnx.Constant() {value = dense<1.0e-5> : tensor<f32>} : () -> tensor<f32>
  %bias = onnx.Constant() {value = dense<0.5> : tensor<8xf16>} : () -> tensor<8xf16>
  %w = onnx.Cast(%x) {to = 1 : i64} : (tensor<?x8xf16>) -> tensor<?x8xf32>
  %mean = onnx.ReduceMean(%w) {axes = array<i64: -1>} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  %c = onnx.Sub(%w, %mean) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %sq = onnx.Pow(%c, %two) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %var = onnx.ReduceMean(%sq) {axes = array<i64: -1>} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  %ve = onnx.Add(%var, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %dev = onnx.Sqrt(%ve) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %n = onnx.Div(%c, %dev) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %h = onnx.Cast(%n) {to = 10 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %p = onnx.Mul(%h, %scale) : (tensor<?x8xf16>, tensor<8xf16>) -> tensor<?x8xf16>
  %y = onnx.Add(%p, %bias) : (tensor<?x8xf16>, tensor<8xf16>) -> tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}
