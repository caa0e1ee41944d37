// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @packed_matmul_c1(%x: tensor<?x4xf32>, %w: tensor<2x4x16xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs a weight [ceil(n / N), k, N] or bf16 [ceil(n / N), 16 ceil(k / 32), N, 2] for x 'tensor<?x4xf32>' and outs 'tensor<?x8xf32>', got 'tensor<2x4x16xf32>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<2x4x16xf32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c1(%x: tensor<?x40xf32>, %w: tensor<1x16x32x2xbf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs a weight [ceil(n / N), k, N] or bf16 [ceil(n / N), 16 ceil(k / 32), N, 2] for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<1x16x32x2xbf16>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<1x16x32x2xbf16>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c2(%x: tensor<?x4xf32>, %w: tensor<1x4x16xf32>, %b: tensor<7xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs extras [], [n], or shaped like outs 'tensor<?x8xf32>', got 'tensor<7xf32>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x16xf32>) extras(%b : tensor<7xf32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32, %e: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c3(%x: tensor<?x4xf32>, %w: tensor<1x4x16xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs an epilogue of 1 arguments and one result}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x16xf32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32, %e: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c1_bytes(%x: tensor<?x6xi8>, %w: tensor<1x16x64xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs a weight [ceil(n / 16), 16 ceil(k / 64), 64] and x of i8 whose k is a multiple of 4}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x6xi8>, tensor<1x16x64xi8>) outs(%init : tensor<?x8xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  } -> tensor<?x8xi32>
  return %y : tensor<?x8xi32>
}

// -----

func.func @packed_matmul_c3_bytes(%x: tensor<?x8xi8>, %w: tensor<1x16x64xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.packed_matmul' op needs an epilogue from i32 to 'i8'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x8xi8>, tensor<1x16x64xi8>) outs(%init : tensor<?x8xi8>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  } -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @packed_matmul_c4(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs 3-bit codes i32 [n, 1, 3, 16] and x of f32 for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x1x1x16xi32>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0 : tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c4_table(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x5xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs tables of f16 or i8, [n, 4], [n, 8] or [n, 16], for outs 'tensor<?x8xf32>', got 'tensor<8x5xf16>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0 : tensor<8x5xf16>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c4_scale(%x: tensor<?x40xf32>, %w: tensor<8x1x1x64xi8>, %l0: tensor<8x16xi8>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs f32 [n, 2] behind tables of i8}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x64xi8>) lut(%l0 : tensor<8x16xi8>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c4_sparse(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x16xf16>, %l1: tensor<8xi32>, %l2: tensor<5xi32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs a sparse matrix as i32 [n + 1] and i32 [entries]}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0, %l1, %l2 : tensor<8x16xf16>, tensor<8xi32>, tensor<5xi32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c5(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs scales of f16 or f32 and perhaps offsets of f16, f32 or i8, [n, 8] each, for outs 'tensor<?x8xf32>', got 'tensor<8x3xf16>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0 : tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 16 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c5_size(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs a group_size that is a power of 2 from 16 on, or all of k, got 24}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0 : tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 24 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c5_bits(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs groups of codes of 2, 3 or 4 bits, and a zero point that is one, got 4 bits and 16}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0 : tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 16 : i64, zero_point = 16 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c5_codes(%x: tensor<?x40xf32>, %w: tensor<8x1x1x32xi32>, %l0: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op needs 4-bit codes i32 [n, 1, 1, 16] or i8 [.., 64] and x of f32 for x 'tensor<?x40xf32>' and outs 'tensor<?x8xf32>', got 'tensor<8x1x1x32xi32>'}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x32xi32>) lut(%l0 : tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 16 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c5_none(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op has a group_size and no scales in lut}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 16 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @packed_matmul_c5_alone(%x: tensor<?x40xf32>, %w: tensor<8x1x1x16xi32>, %l0: tensor<8x16xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.packed_matmul' op has bits or a zero_point, which are of groups, and no group_size}}
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x16xi32>) lut(%l0 : tensor<8x16xf16>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
