// RUN: sq-opt %s --sq-lower-composites --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-lower-composites --sq-lower-composites --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-lower-composites=bf16=true --split-input-file | FileCheck %s --check-prefix=BF16

// CHECK-LABEL: @gelu
// CHECK: linalg.generic
// CHECK: math.erf
// CHECK: linalg.generic
// CHECK: math.tanh
// CHECK-NOT: sq.gelu
func.func @gelu(%x: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.gelu ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %z = sq.gelu ins(%y : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) {tanh} -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// Small floats are computed in f32 and rounded once.
// CHECK-LABEL: @narrow
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: math.exp %{{.*}} : f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
// CHECK-NOT: arith.truncf
func.func @narrow(%x: tensor<8xf16>, %up: tensor<8xf16>, %init: tensor<8xf16>) -> tensor<8xf16> {
  %y = sq.silu ins(%x : tensor<8xf16>) up(%up : tensor<8xf16>) outs(%init : tensor<8xf16>) {alpha = 1.5 : f32} -> tensor<8xf16>
  return %y : tensor<8xf16>
}

// -----

// Half as many angles as elements: both halves read the same ones.
// CHECK-DAG: #[[$ANGLE:.*]] = affine_map<(d0, d1, d2, d3) -> (0, d1, d3)>
// CHECK-LABEL: @rotary
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x2x32xf32>, %[[C:.*]]: tensor<1x?x16xf32>, %[[S:.*]]: tensor<1x?x16xf32>
// CHECK-DAG: tensor.extract_slice %[[X]][0, 0, 0, 0] [%{{.*}}, %{{.*}}, 2, 16] [1, 1, 1, 1]
// CHECK-DAG: tensor.extract_slice %[[X]][0, 0, 0, 16]
// CHECK: linalg.generic {indexing_maps = [{{.*}}, {{.*}}, #[[$ANGLE]], #[[$ANGLE]], {{.*}}]
// CHECK: arith.subf
// CHECK: tensor.insert_slice {{.*}}[0, 0, 0, 0]
// CHECK: linalg.generic {indexing_maps = [{{.*}}, {{.*}}, #[[$ANGLE]], #[[$ANGLE]], {{.*}}]
// CHECK: arith.addf
// CHECK: tensor.insert_slice {{.*}}[0, 0, 0, 16]
func.func @rotary(%x: tensor<?x?x2x32xf32>, %c: tensor<1x?x16xf32>, %s: tensor<1x?x16xf32>, %init: tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32> {
  %y = sq.rotary_embedding ins(%x, %c, %s : tensor<?x?x2x32xf32>, tensor<1x?x16xf32>, tensor<1x?x16xf32>) outs(%init : tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32>
  return %y : tensor<?x?x2x32xf32>
}

// -----

// As many angles as elements, pairs side by side.
// CHECK-LABEL: @interleaved
// CHECK: tensor.extract_slice %{{.*}}[0, 0, 0, 0] [3, 5, 2, 16] [1, 1, 1, 2]
// CHECK: tensor.extract_slice %{{.*}}[0, 0, 0, 1] [3, 5, 2, 16] [1, 1, 1, 2]
// CHECK-COUNT-2: tensor.extract_slice %{{.*}}[0, 0, 0] [3, 5, 16] [1, 1, 2]
// CHECK: linalg.generic
// CHECK-COUNT-2: tensor.extract_slice %{{.*}}[0, 0, 1] [3, 5, 16] [1, 1, 2]
// CHECK: linalg.generic
func.func @interleaved(%x: tensor<3x5x2x32xf32>, %c: tensor<3x5x32xf32>, %init: tensor<3x5x2x32xf32>) -> tensor<3x5x2x32xf32> {
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<3x5x2x32xf32>, tensor<3x5x32xf32>, tensor<3x5x32xf32>) outs(%init : tensor<3x5x2x32xf32>) {interleaved} -> tensor<3x5x2x32xf32>
  return %y : tensor<3x5x2x32xf32>
}

// -----

// The same in halves.
// CHECK-LABEL: @halves
// CHECK-COUNT-2: tensor.extract_slice %{{.*}}[0, 0, 0] [3, 5, 16] [1, 1, 1]
// CHECK-COUNT-2: tensor.extract_slice %{{.*}}[0, 0, 16] [3, 5, 16] [1, 1, 1]
func.func @halves(%x: tensor<3x5x2x32xf32>, %c: tensor<3x5x32xf32>, %init: tensor<3x5x2x32xf32>) -> tensor<3x5x2x32xf32> {
  %y = sq.rotary_embedding ins(%x, %c, %c : tensor<3x5x2x32xf32>, tensor<3x5x32xf32>, tensor<3x5x32xf32>) outs(%init : tensor<3x5x2x32xf32>) -> tensor<3x5x2x32xf32>
  return %y : tensor<3x5x2x32xf32>
}

// -----

// In double precision there is no kernel: the products stay products, the softmax is loops.
// CHECK-LABEL: @doubles
// CHECK: sq.matmul
// CHECK: linalg.index 3
// CHECK-NOT: sq.softmax
// CHECK: math.exp
// CHECK: sq.matmul
// CHECK-NOT: sq.attention
func.func @doubles(%q: tensor<1x5x2x32xf64>, %k: tensor<1x5x1x32xf64>, %init: tensor<1x5x2x32xf64>) -> tensor<1x5x2x32xf64> {
  %o = sq.attention ins(%q, %k, %k : tensor<1x5x2x32xf64>, tensor<1x5x1x32xf64>, tensor<1x5x1x32xf64>) outs(%init : tensor<1x5x2x32xf64>) {causal, scale = 0.25 : f32} -> tensor<1x5x2x32xf64>
  return %o : tensor<1x5x2x32xf64>
}

// -----

// It has a kernel.
// CHECK-LABEL: @plain
// CHECK-NEXT: %[[O:.*]] = sq.attention
// CHECK-NEXT: return %[[O]]
func.func @plain(%q: tensor<1x5x2x32xf32>, %init: tensor<1x5x2x32xf32>) -> tensor<1x5x2x32xf32> {
  %o = sq.attention ins(%q, %q, %q : tensor<1x5x2x32xf32>, tensor<1x5x2x32xf32>, tensor<1x5x2x32xf32>) outs(%init : tensor<1x5x2x32xf32>) {scale = 0.25 : f32} -> tensor<1x5x2x32xf32>
  return %o : tensor<1x5x2x32xf32>
}

// -----

// One loop; indices without a batch, or with one of 1, are the same for all.
// CHECK-DAG: #[[$ALL:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$PLACE:.*]] = affine_map<(d0, d1, d2) -> (d1)>
// CHECK-DAG: #[[$ONE:.*]] = affine_map<(d0, d1, d2) -> (0, d1)>
// CHECK-LABEL: @embedding
// CHECK: linalg.generic {indexing_maps = [#[[$ALL]], #[[$PLACE]], #[[$ONE]], #{{.*}}]
// CHECK-COUNT-3: tensor.extract
// CHECK-NOT: linalg.generic
func.func @embedding(%i: tensor<?x?xi64>, %j: tensor<?xi64>, %k: tensor<1x?xi64>, %t: tensor<9x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %y = sq.embedding ins(%i, %j, %k : tensor<?x?xi64>, tensor<?xi64>, tensor<1x?xi64>) tables(%t, %t, %t : tensor<9x8xf32>, tensor<9x8xf32>, tensor<9x8xf32>) outs(%init : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Bytes, each row times a number of its own.
// CHECK-LABEL: @bytes
// CHECK: %[[Q:.*]] = tensor.extract %{{.*}}[%[[ROW:.*]], %{{.*}}] : tensor<9x8xi8>
// CHECK: %[[S:.*]] = tensor.extract %{{.*}}[%[[ROW]]] : tensor<9xf32>
// CHECK: %[[F:.*]] = arith.sitofp %[[Q]] : i8 to f32
// CHECK: arith.mulf %[[F]], %[[S]]
func.func @bytes(%i: tensor<?xi64>, %t: tensor<9x8xi8>, %s: tensor<9xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.embedding ins(%i : tensor<?xi64>) tables(%t : tensor<9x8xi8>) scales(%s : tensor<9xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// What linear layers alone read they round to bf16; a second reader gets all digits.
// BF16-LABEL: @read_in_bf16
// BF16: math.erf %{{.*}} fastmath<afn>
// BF16: math.erf %{{[0-9]+}} : f32
func.func @read_in_bf16(%x: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %w = arith.constant dense<1.0> : tensor<8x8xf32>
  %a = sq.gelu ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = sq.linear ins(%a, %w : tensor<?x8xf32>, tensor<8x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.gelu ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %z = sq.linear ins(%b, %w : tensor<?x8xf32>, tensor<8x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y, %z, %b : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}
