// DEFINE: %{arithmetic} = --implicit-check-not='{{[[:space:]]v?(add|sub|mul|div|sqrt|rsqrt|rcp|rsqrt14|rcp14|min|max|cmp|comi|ucomi|rndscale|round|fn?m(add|sub)[0-9]+)(ss|sd|ps|pd|ph|sh|bf16)[[:space:]]}}'
// DEFINE: %{conversions} = --implicit-check-not='{{[[:space:]]v?cvt}}'
// RUN: sq-compile %s --target=host:x86-64-v3 --emit=asm | FileCheck %s %{arithmetic} %{conversions}
// RUN: sq-compile %s --target=host:avx512 --emit=asm | FileCheck %s %{arithmetic} %{conversions}

// No arithmetic, comparison or conversion of floats in any of these, whatever LLVM vectorises.
// CHECK-DAG: vpmul
// CHECK-DAG: sq_entry
func.func @main(%acc: tensor<?x32xi32> {sq.name = "acc", sq.dtype = "i32"}, %x: tensor<?x32xi8> {sq.name = "x", sq.dtype = "i8"}) -> (tensor<?x32xi8> {sq.name = "norm", sq.dtype = "i8"}, tensor<?x32xi8> {sq.name = "p", sq.dtype = "u8"}, tensor<?x32xi8> {sq.name = "gelu", sq.dtype = "i8"}, tensor<?x32xi8> {sq.name = "silu", sq.dtype = "i8"}, tensor<?x32xi32> {sq.name = "root", sq.dtype = "i32"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %acc, %c0 : tensor<?x32xi32>
  %e = tensor.empty(%n) : tensor<?x32xi32>
  %b = tensor.empty(%n) : tensor<?x32xi8>
  %sum = sq.requantized_add ins(%acc, %x : tensor<?x32xi32>, tensor<?x32xi8>) outs(%e : tensor<?x32xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, a_bits = 24 : i64, bits = 22 : i64} -> tensor<?x32xi32>
  %norm = sq.int_layer_norm ins(%sum : tensor<?x32xi32>) outs(%b : tensor<?x32xi8>) {shift = 7 : i64, epsilon = 2684355 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x32xi8>
  %p = sq.int_softmax ins(%acc : tensor<?x32xi32>) outs(%b : tensor<?x32xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<?x32xi8>
  %gelu = sq.int_gelu ins(%acc : tensor<?x32xi32>) outs(%b : tensor<?x32xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x32xi8>
  %silu = sq.int_silu ins(%acc : tensor<?x32xi32>) outs(%b : tensor<?x32xi8>) {low = -70400 : i64, high = 20961 : i64, exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1342177280 : i32, exponent = 53 : i32} -> tensor<?x32xi8>
  %root = sq.int_sqrt ins(%acc : tensor<?x32xi32>) outs(%e : tensor<?x32xi32>) -> tensor<?x32xi32>
  return %norm, %p, %gelu, %silu, %root : tensor<?x32xi8>, tensor<?x32xi8>, tensor<?x32xi8>, tensor<?x32xi8>, tensor<?x32xi32>
}
