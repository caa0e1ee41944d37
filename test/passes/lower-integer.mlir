// RUN: sq-opt %s --sq-lower-integer --canonicalize --split-input-file | FileCheck %s --implicit-check-not='{{f16|f32|f64|sitofp|fptosi}}'
// RUN: sq-opt %s --sq-lower-integer --sq-lower-integer --canonicalize --split-input-file | FileCheck %s

// A product in 64 bits, half to even: half - 1 and the quotient's last bit.
// CHECK-LABEL: @requantize
// CHECK-DAG: %[[M:.*]] = arith.constant 1466015504 : i64
// CHECK-DAG: %[[E:.*]] = arith.constant 41 : i64
// CHECK-DAG: %[[HALF:.*]] = arith.constant 1099511627775 : i64
// CHECK: linalg.generic
// CHECK: %[[X:.*]] = arith.extsi %{{.*}} : i32 to i64
// CHECK: %[[P:.*]] = arith.muli %[[X]], %[[M]] : i64
// CHECK: arith.shrsi %[[P]], %[[E]] : i64
// CHECK: arith.andi
// CHECK: arith.addi %[[P]], %[[HALF]] : i64
// CHECK: arith.shrsi %{{.*}}, %[[E]] : i64
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: arith.trunci %{{.*}} : i32 to i8
func.func @requantize(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

// What fits 32 bits is computed there, and nothing is clamped that cannot be outside.
// CHECK-LABEL: @narrow
// CHECK: linalg.generic
// CHECK-NOT: i64
// CHECK-NOT: arith.maxsi
// CHECK: return
func.func @narrow(%x: tensor<8xi8>, %init: tensor<8xi8>) -> tensor<8xi8> {
  %y = sq.requantize ins(%x : tensor<8xi8>) outs(%init : tensor<8xi8>) {multipliers = array<i32: 100>, exponents = array<i32: 7>, rounding = "half_up"} -> tensor<8xi8>
  return %y : tensor<8xi8>
}

// -----

// Constants that differ by channel are inputs, equal ones are not.
// CHECK-DAG: #[[$COLUMN:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: @channels
// CHECK: %[[M:.*]] = arith.constant dense<[1, -2, 3]> : tensor<3xi16>
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$COLUMN]], #{{.*}}], {{.*}}} ins(%{{.*}}, %[[M]] :
func.func @channels(%x: tensor<?x3xi32>, %init: tensor<?x3xi8>) -> tensor<?x3xi8> {
  %y = sq.requantize ins(%x : tensor<?x3xi32>) outs(%init : tensor<?x3xi8>) {multipliers = array<i32: 1, -2, 3>, exponents = array<i32: 7, 7, 7>, rounding = "half_away"} -> tensor<?x3xi8>
  return %y : tensor<?x3xi8>
}

// -----

// 8-bit inputs are looked up.
// CHECK-LABEL: @table
// CHECK: %[[T:.*]] = arith.constant dense<{{.*}}> : tensor<256xi8>
// CHECK: linalg.generic
// CHECK: %[[I:.*]] = arith.index_castui %{{.*}} : i8 to index
// CHECK: %[[Y:.*]] = tensor.extract %[[T]][%[[I]]]
// CHECK: linalg.yield %[[Y]]
// CHECK-NOT: linalg.generic
func.func @table(%x: tensor<8xi8>, %init: tensor<8xi8>) -> tensor<8xi8> {
  %y = sq.int_gelu ins(%x : tensor<8xi8>) outs(%init : tensor<8xi8>) {limits = array<i64: 40>, highs = array<i64: 129>, ones = array<i64: 1745>, shifts = array<i32: 0>, multipliers = array<i32: 1259997106>, exponents = array<i32: 42>} -> tensor<8xi8>
  return %y : tensor<8xi8>
}

// -----

// Per channel they are not.
// CHECK-LABEL: @no_table
// CHECK-NOT: tensor.extract
// CHECK: return
func.func @no_table(%x: tensor<2xi8>, %init: tensor<2xi8>) -> tensor<2xi8> {
  %y = sq.int_gelu ins(%x : tensor<2xi8>) outs(%init : tensor<2xi8>) {limits = array<i64: 40, 39>, highs = array<i64: 129>, ones = array<i64: 1745>, shifts = array<i32: 0>, multipliers = array<i32: 1259997106>, exponents = array<i32: 42>} -> tensor<2xi8>
  return %y : tensor<2xi8>
}

// -----

// The largest, exponentials, their sum, one reciprocal a row, and elements without a division.
// CHECK-LABEL: @softmax
// CHECK: linalg.generic {{.*}}"reduction"
// CHECK: arith.maxsi
// CHECK: linalg.generic
// CHECK: arith.divui %{{.*}} : i32
// CHECK: linalg.generic {{.*}}"reduction"
// CHECK: arith.addi
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel"]
// CHECK: arith.divui
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel"]
// CHECK: math.ctlz
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]
// CHECK-NOT: arith.divui
// CHECK: arith.muli
// CHECK: linalg.yield
func.func @softmax(%x: tensor<?x?xi32>, %init: tensor<?x?xi8>) -> tensor<?x?xi8> {
  %y = sq.int_softmax ins(%x : tensor<?x?xi32>) outs(%init : tensor<?x?xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<?x?xi8>
  return %y : tensor<?x?xi8>
}

// -----

// Sum, mean, squares, then one root and one division a row.
// CHECK-LABEL: @layer_norm
// CHECK-COUNT-2: "reduction"
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel"]
// CHECK-COUNT-4: arith.divui
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]
// CHECK-NOT: arith.divui
// CHECK: return
func.func @layer_norm(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  %y = sq.int_layer_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {shift = 8 : i64, epsilon = 2684355 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

// Broadcasting, and both signs of inputs.
// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0, d1) -> (0, d1)>
// CHECK-LABEL: @add
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$ROW]], #{{.*}}]
// CHECK: arith.extsi %{{.*}} : i8
// CHECK: arith.extui %{{.*}} : i8
func.func @add(%a: tensor<?x4xi8>, %b: tensor<1x4xi8>, %init: tensor<?x4xi8>) -> tensor<?x4xi8> {
  %y = sq.requantized_add ins(%a, %b : tensor<?x4xi8>, tensor<1x4xi8>) outs(%init : tensor<?x4xi8>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, b_unsigned} -> tensor<?x4xi8>
  return %y : tensor<?x4xi8>
}

// -----

// Five steps for 32 bits, six for 64.
// CHECK-LABEL: @roots
// CHECK-COUNT-5: arith.divui %{{.*}} : i32
// CHECK-NOT: arith.divui %{{.*}} : i32
// CHECK-COUNT-6: arith.divui %{{.*}} : i64
// CHECK-NOT: arith.divui
// CHECK: return
func.func @roots(%x: tensor<4xi32>, %i: tensor<4xi32>, %z: tensor<4xi64>, %j: tensor<4xi64>) -> (tensor<4xi32>, tensor<4xi64>) {
  %y = sq.int_sqrt ins(%x : tensor<4xi32>) outs(%i : tensor<4xi32>) -> tensor<4xi32>
  %w = sq.int_sqrt ins(%z : tensor<4xi64>) outs(%j : tensor<4xi64>) -> tensor<4xi64>
  return %y, %w : tensor<4xi32>, tensor<4xi64>
}

// -----

// Channels are where `axis` says.
// CHECK-DAG: #[[$CHANNEL:.*]] = affine_map<(d0, d1, d2) -> (d1)>
// CHECK-LABEL: @axis
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$CHANNEL]], #[[$CHANNEL]], #{{.*}}]
func.func @axis(%x: tensor<?x2x8xi32>, %init: tensor<?x2x8xi8>) -> tensor<?x2x8xi8> {
  %y = sq.requantize ins(%x : tensor<?x2x8xi32>) outs(%init : tensor<?x2x8xi8>) {multipliers = array<i32: 1, 2>, exponents = array<i32: 7, 6>, axis = -2 : i64} -> tensor<?x2x8xi8>
  return %y : tensor<?x2x8xi8>
}
