// RUN: sq-opt %s --sq-lower-kernels --split-input-file | FileCheck %s

// What a kernel does, by hand: 2 B S 4 8 operations of the product, one of the
// bias and one of the residual connection for each of the B S 8 results. The
// packed weight has 16 columns, so that 4 (4 B S + 64 + 8 + 8 B S) bytes are read.
// CHECK-LABEL: @linear
// CHECK: sq.parallel "matmul:/up/MatMul"
// CHECK: work = {flops = "80*B*S", kind = "matmul", nodes = ["/up/MatMul", "/up/Add", "/Add"], parts = ["product", "bias", "residual"], reads = "48*B*S + 800", writes = "32*B*S"}
func.func @linear(%x: memref<?x?x4xf32> {sq.dims = ["B", "S", ""]}, %w: memref<1x4x48xf32>, %bias: memref<8xf32>,
                  %r: memref<?x?x8xf32> {sq.dims = ["B", "S", ""]}, %y: memref<?x?x8xf32> {sq.dims = ["B", "S", ""]}) {
  sq.packed_matmul ins(%x, %w : memref<?x?x4xf32>, memref<1x4x48xf32>) extras(%bias, %r : memref<8xf32>, memref<?x?x8xf32>) outs(%y : memref<?x?x8xf32>) {
  ^bb0(%acc: f32, %b: f32, %e: f32):
    %s = arith.addf %acc, %b : f32 loc("/up/Add")
    %t = arith.addf %e, %s : f32 loc("/Add")
    sq.yield %t : f32 loc("/Add")
  } loc("/up/MatMul")
  return
}

// -----

// GELU after a bias: erf, its five companions and the bias, for each result.
// CHECK-LABEL: @gelu
// CHECK: work = {flops = "14*n", {{.*}}parts = ["product", "bias", "gelu"]
func.func @gelu(%x: memref<?x4xf32> {sq.dims = ["n", ""]}, %w: memref<1x4x48xf32>, %bias: memref<1xf32>,
                %y: memref<?x1xf32> {sq.dims = ["n", ""]}) {
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %root = arith.constant 0.707106769 : f32
  sq.packed_matmul ins(%x, %w : memref<?x4xf32>, memref<1x4x48xf32>) extras(%bias : memref<1xf32>) outs(%y : memref<?x1xf32>) {
  ^bb0(%acc: f32, %b: f32):
    %v = arith.addf %acc, %b : f32
    %scaled = arith.mulf %v, %root : f32
    %erf = math.erf %scaled : f32
    %shifted = arith.addf %erf, %one : f32
    %halved = arith.mulf %v, %half : f32
    %result = arith.mulf %halved, %shifted : f32
    sq.yield %result : f32
  }
  return
}

// -----

// Scores and weighted sum are 2 B S H T D operations each; the mask, softmax's
// largest, difference, exp and sum one each per score; scaling the queries and
// dividing the results one each per element. B S 2 H 4 D here.
// CHECK-LABEL: @attention
// CHECK: work = {flops = "42*B*S*T + 16*B*S", kind = "attention", {{.*}}parts = ["scores", "mask", "softmax", "values"], reads = "32*B*S + 68*B*T", writes = "32*B*S"}
func.func @attention(%q: memref<?x?x2x4xf32> {sq.dims = ["B", "S", "", ""]}, %k: memref<?x?x2x4xf32> {sq.dims = ["B", "T", "", ""]},
                     %v: memref<?x?x2x4xf32> {sq.dims = ["B", "T", "", ""]}, %m: memref<?x1x1x?xf32> {sq.dims = ["B", "", "", "T"]},
                     %y: memref<?x?x2x4xf32> {sq.dims = ["B", "S", "", ""]}) {
  sq.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>)
    mask(%m : memref<?x1x1x?xf32>) outs(%y : memref<?x?x2x4xf32>) {scale = 0.5 : f32}
  return
}

// -----

// An operand that is read twice counts once. Dims without a symbol are called by the input.
// CHECK-LABEL: @rows
// CHECK: work = {flops = "40*x:0", kind = "softmax", {{.*}}reads = "32*x:0", writes = "32*x:0"}
// CHECK: work = {flops = "64*x:0", kind = "layer_norm", {{.*}}reads = "32*x:0 + 64", writes = "32*x:0"}
// CHECK: work = {flops = "x:0", kind = "elementwise", {{.*}}parts = ["mul"], reads = "4*x:0", writes = "4*x:0"}
func.func @rows(%x: memref<?x8xf32> {sq.name = "x"}, %s: memref<8xf32>, %b: memref<8xf32>, %u: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  %y = memref.alloc(%n) : memref<?x8xf32>
  sq.softmax ins(%x : memref<?x8xf32>) outs(%y : memref<?x8xf32>)
  %z = memref.alloc(%n) : memref<?x8xf32>
  sq.layer_norm ins(%y, %s : memref<?x8xf32>, memref<8xf32>) bias(%b : memref<8xf32>) outs(%z : memref<?x8xf32>) {epsilon = 1.0e-5 : f32}
  %t = memref.alloc(%n) : memref<?xf32>
  %t2 = memref.alloc(%n) : memref<?xf32>
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
    ins(%t, %t : memref<?xf32>, memref<?xf32>) outs(%t2 : memref<?xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %p = arith.mulf %a, %c : f32
    linalg.yield %p : f32
  }
  return
}

// -----

// Of a table only what is looked up; a reduction reads where it adds; integers are no flops.
// CHECK-LABEL: @loops
// CHECK: work = {flops = "0", kind = "gather", {{.*}}parts = ["gather"], reads = "40*n", writes = "32*n"}
// CHECK: work = {flops = "8*n", kind = "reduction", {{.*}}parts = ["add"], reads = "36*n", writes = "4*n"}
// CHECK: work = {flops = "0", kind = "elementwise", {{.*}}parts = ["add"]
// CHECK: work = {flops = "0", kind = "copy", {{.*}}parts = ["fill"], reads = "0", writes = "32*n"}
// CHECK: work = {flops = "0", kind = "copy", {{.*}}parts = ["copy"], reads = "32*n", writes = "32*n"}
func.func @loops(%i: memref<?xi64> {sq.dims = ["n"]}, %table: memref<1000x8xf32>, %y: memref<?x8xf32> {sq.dims = ["n", ""]},
                 %sum: memref<?xf32> {sq.dims = ["n"]}, %z: memref<?x8xf32> {sq.dims = ["n", ""]}) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
    ins(%i : memref<?xi64>) outs(%y : memref<?x8xf32>) {
  ^bb0(%id: i64, %o: f32):
    %row = arith.index_cast %id : i64 to index
    %column = linalg.index 1 : index
    %v = memref.load %table[%row, %column] : memref<1000x8xf32>
    linalg.yield %v : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
    ins(%y : memref<?x8xf32>) outs(%sum : memref<?xf32>) {
  ^bb0(%v: f32, %acc: f32):
    %s = arith.addf %acc, %v : f32
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
    ins(%i : memref<?xi64>) outs(%i : memref<?xi64>) {
  ^bb0(%v: i64, %o: i64):
    %s = arith.addi %v, %v : i64
    linalg.yield %s : i64
  }
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%z : memref<?x8xf32>)
  memref.copy %y, %z : memref<?x8xf32> to memref<?x8xf32>
  return
}
