// A plan with several precisions: bytes first, then tables, and what no line is about stays as it is.
// RUN: split-file %s %t
// RUN: sq-opt %t/three.mlir --sq-quantize="mixed=true activations=dynamic" --sq-compress-weights="mixed=true" | FileCheck %s
// RUN: not sq-opt %t/bits.mlir --sq-compress-weights="mixed=true" 2>&1 | FileCheck %s --check-prefix=BITS
// BITS: plan:1: rtn8 is not for sq-compile, which has no kernel for it; f32, bf16, int8 to int2, and weights of 2, 3 or 4 bits
// RUN: not sq-opt %t/groups.mlir --sq-quantize="mixed=true activations=dynamic" 2>&1 | FileCheck %s --check-prefix=GROUPS
// GROUPS: plan:1: rtn4/64+0.5% is not for sq-compile, which keeps weights apart beside tables (lut) only
// What is not for one of them alone:
// RUN: not sq-opt %t/three.mlir --sq-quantize="activations=dynamic" 2>&1 | FileCheck %s --check-prefix=ALONE
// ALONE: plan:2: lut2+1% is not for --quant=int8, which makes layers int8 (or int2 to int7) or leaves them in f32

//--- three.mlir
// (Outliers that are what the tables hold anyway are none.)
// CHECK-LABEL: @three
// CHECK: sq.linear ins({{.*}}!quant.uniform
// CHECK: sq.lut_matmul ins({{.*}}tensor<32x2xi32>, tensor<32x4xf16>)
// CHECK: sq.linear ins({{.*}} : tensor<?x32xf32>, tensor<32x8xf32>) {{.*}}{sq.bf16}
func.func @three(%x: tensor<?x16xf32>, %a: tensor<?x16xf32>, %b: tensor<?x32xf32>, %c: tensor<?x8xf32>) -> tensor<?x8xf32>
    attributes {sq.plan = "up = int8\nmiddle = lut2+1%\ndown = bf16\n"} {
  %w = arith.constant dense<0.5> : tensor<16x16xf32>
  %v = arith.constant dense<0.25> : tensor<16x32xf32>
  %u = arith.constant dense<0.125> : tensor<32x8xf32>
  %0 = sq.linear ins(%x, %w : tensor<?x16xf32>, tensor<16x16xf32>) outs(%a : tensor<?x16xf32>) -> tensor<?x16xf32> loc("up")
  %1 = sq.linear ins(%0, %v : tensor<?x16xf32>, tensor<16x32xf32>) outs(%b : tensor<?x32xf32>) -> tensor<?x32xf32> loc("middle")
  %2 = sq.linear ins(%1, %u : tensor<?x32xf32>, tensor<32x8xf32>) outs(%c : tensor<?x8xf32>) -> tensor<?x8xf32> loc("down")
  return %2 : tensor<?x8xf32>
}

//--- bits.mlir
func.func @none(%x: tensor<?x16xf32>, %a: tensor<?x16xf32>) -> tensor<?x16xf32> attributes {sq.plan = "up = rtn8\n"} {
  %w = arith.constant dense<0.5> : tensor<16x16xf32>
  %0 = sq.linear ins(%x, %w : tensor<?x16xf32>, tensor<16x16xf32>) outs(%a : tensor<?x16xf32>) -> tensor<?x16xf32> loc("up")
  return %0 : tensor<?x16xf32>
}

//--- groups.mlir
func.func @groups(%x: tensor<?x16xf32>, %a: tensor<?x16xf32>) -> tensor<?x16xf32> attributes {sq.plan = "up = rtn4/64+0.5%\n"} {
  %w = arith.constant dense<0.5> : tensor<16x16xf32>
  %0 = sq.linear ins(%x, %w : tensor<?x16xf32>, tensor<16x16xf32>) outs(%a : tensor<?x16xf32>) -> tensor<?x16xf32> loc("up")
  return %0 : tensor<?x16xf32>
}
