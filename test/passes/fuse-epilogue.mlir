// RUN: sq-opt %s --sq-fuse-epilogue | FileCheck %s
// RUN: sq-opt %s --sq-fuse-epilogue --sq-fuse-epilogue | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>
#row = affine_map<(d0, d1) -> (d0)>
#swap = affine_map<(d0, d1) -> (d1, d0)>

// Two ops in a row and a residual: all in one epilogue, after the bias.
// CHECK-LABEL: @chain
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<1x4x48xf32>, %[[B:.*]]: tensor<8xf32>, %[[R:.*]]: tensor<?x8xf32>, %[[O1:.*]]: tensor<?x8xf32>, %[[O2:.*]]: tensor<?x8xf32>)
// CHECK-NOT: linalg.generic
// CHECK: %[[Y:.*]] = sq.packed_matmul ins(%[[X]], %[[W]] : {{.*}}) extras(%[[B]], %[[R]] : tensor<8xf32>, tensor<?x8xf32>) outs(%[[O2]] :
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[BIAS:.*]]: f32, %[[RES:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK-NEXT: %[[T:.*]] = math.tanh %[[S]]
// CHECK-NEXT: %[[U:.*]] = arith.subf %[[RES]], %[[T]]
// CHECK-NEXT: sq.yield %[[U]]
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]]
func.func @chain(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %b: tensor<8xf32>, %r: tensor<?x8xf32>, %o1: tensor<?x8xf32>, %o2: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) extras(%b : tensor<8xf32>) outs(%o1 : tensor<?x8xf32>) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %acc, %e : f32
    sq.yield %s : f32
  } -> tensor<?x8xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%o1 : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.tanh %i : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%r, %t : tensor<?x8xf32>, tensor<?x8xf32>) outs(%o2 : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.subf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// A row [n] is an extra; a constant may lie outside; a comparison and a select
// have vector forms.
// CHECK-LABEL: @row_and_constant
// CHECK-SAME: %[[SCALE:[^ ]*]]: tensor<8xf32>
// CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: sq.packed_matmul {{.*}} extras(%[[SCALE]] : tensor<8xf32>)
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[E:.*]]: f32):
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[ACC]], %[[E]]
// CHECK: %[[C:.*]] = arith.cmpf ogt, %[[M]], %[[ZERO]]
// CHECK: %[[V:.*]] = arith.select %[[C]], %[[M]], %[[ZERO]]
// CHECK: sq.yield %[[V]]
func.func @row_and_constant(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %scale: tensor<8xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %scale : tensor<?x8xf32>, tensor<8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %m = arith.mulf %i, %j : f32
    %c = arith.cmpf ogt, %m, %zero : f32
    %v = arith.select %c, %m, %zero : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Of two products, one is the base and the other an operand of its epilogue.
// CHECK-LABEL: @two_products
// CHECK: %[[P:.*]] = sq.packed_matmul
// CHECK: sq.packed_matmul {{.*}} extras(%[[P]] : tensor<?x8xf32>)
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @two_products(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %q = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %q : tensor<?x8xf32>, tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.addf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: the product is a result as well.
// CHECK-LABEL: @two_users
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @two_users(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.negf %i : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y, %p : tensor<?x8xf32>, tensor<?x8xf32>
}

// Near miss: the other operand runs over rows.
// CHECK-LABEL: @per_row
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @per_row(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %r: tensor<?xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : tensor<?x8xf32>, tensor<?xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.addf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: the other operand is not f32.
// CHECK-LABEL: @integer_operand
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @integer_operand(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %r: tensor<?x8xi32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : tensor<?x8xf32>, tensor<?x8xi32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: i32, %o: f32):
    %c = arith.sitofp %j : i32 to f32
    %v = arith.addf %i, %c : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: the product is read transposed.
// CHECK-LABEL: @transposed_result
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @transposed_result(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %t: tensor<8x?xf32>) -> tensor<8x?xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#swap, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%t : tensor<8x?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.negf %i : f32
    linalg.yield %v : f32
  } -> tensor<8x?xf32>
  return %y : tensor<8x?xf32>
}

// Near miss: the result is not f32.
// CHECK-LABEL: @other_type
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @other_type(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %t: tensor<?x8xf16>) -> tensor<?x8xf16> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%t : tensor<?x8xf16>) {
  ^bb0(%i: f32, %o: f16):
    %v = arith.truncf %i : f32 to f16
    linalg.yield %v : f16
  } -> tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// Near miss: a reduction needs the whole row.
// CHECK-LABEL: @reduction
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @reduction(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%p : tensor<?x8xf32>) outs(%t : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// Near miss: the body reads its output.
// CHECK-LABEL: @reads_output
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @reads_output(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: the body reads the loop's index.
// CHECK-LABEL: @index
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @index(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %n = linalg.index 1 : index
    %c = arith.index_cast %n : index to i32
    %f = arith.sitofp %c : i32 to f32
    %v = arith.addf %i, %f : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: a run-time scalar from outside the body.
// CHECK-LABEL: @outside_value
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @outside_value(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %c: f32) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.mulf %i, %c : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: a gather has no vector form.
// CHECK-LABEL: @no_vector_form
// CHECK: sq.packed_matmul
// CHECK: sq.yield %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: return
func.func @no_vector_form(%x: tensor<?x4xf32>, %w: tensor<1x4x48xf32>, %out: tensor<?x8xf32>, %t: tensor<8xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %c = arith.fptosi %i : f32 to i32
    %n = arith.index_cast %c : i32 to index
    %v = tensor.extract %t[%n] : tensor<8xf32>
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// A number that the run knows, and one for each row: of integers where the sums are.
// CHECK-LABEL: @number_and_rows
// CHECK: %[[Z:.*]] = tensor.collapse_shape %{{.*}} [] : tensor<1xi8> into tensor<i8>
// CHECK: sq.packed_matmul {{.*}} extras(%{{.*}}, %[[Z]], %{{.*}}, %{{.*}} : tensor<8xi32>, tensor<i8>, tensor<?x1xi32>, tensor<f32>)
// CHECK: arith.extui
// CHECK: arith.muli
// CHECK: arith.sitofp
// CHECK: sq.yield %{{.*}} : f32
// CHECK-NOT: linalg.generic
func.func @number_and_rows(%x: tensor<?x4xi8>, %w: tensor<1x16x64xi8>, %sums: tensor<?x8xi32>, %out: tensor<?x8xf32>, %columns: tensor<8xi32>, %zero: tensor<1xi8>, %rows: tensor<?x1xi32>, %scale: tensor<f32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xi8>, tensor<1x16x64xi8>) outs(%sums : tensor<?x8xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  } -> tensor<?x8xi32>
  %y = linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (0)>, affine_map<(d0, d1) -> (d0, 0)>, affine_map<(d0, d1) -> ()>, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %columns, %zero, %rows, %scale : tensor<?x8xi32>, tensor<8xi32>, tensor<1xi8>, tensor<?x1xi32>, tensor<f32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: i32, %c: i32, %z: i8, %r: i32, %s: f32, %o: f32):
    %wide = arith.extui %z : i8 to i32
    %moved = arith.muli %wide, %c : i32
    %a = arith.subi %i, %moved : i32
    %b = arith.subi %a, %r : i32
    %f = arith.sitofp %b : i32 to f32
    %v = arith.mulf %f, %s : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Sums of bytes take integers with them: a residual connection without floats.
// CHECK-LABEL: @integers
// CHECK: sq.packed_matmul ins({{.*}}) extras(%{{.*}} : tensor<?x8xi16>) outs({{.*}} : tensor<?x8xi16>)
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @integers(%x: tensor<?x4xi8>, %w: tensor<1x16x64xi8>, %out: tensor<?x8xi32>, %narrow: tensor<?x8xi16>, %r: tensor<?x8xi16>) -> tensor<?x8xi16> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xi8>, tensor<1x16x64xi8>) outs(%out : tensor<?x8xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  } -> tensor<?x8xi32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : tensor<?x8xi32>, tensor<?x8xi16>) outs(%narrow : tensor<?x8xi16>) {
  ^bb0(%i: i32, %j: i16, %o: i16):
    %wide = arith.extsi %j : i16 to i32
    %sum = arith.addi %i, %wide : i32
    %v = arith.trunci %sum : i32 to i16
    linalg.yield %v : i16
  } -> tensor<?x8xi16>
  return %y : tensor<?x8xi16>
}

// What makes floats of integers stays a kernel of its own.
// CHECK-LABEL: @border
// CHECK: sq.packed_matmul
// CHECK: linalg.generic {{.*}}sq.border = "dequantize"
func.func @border(%x: tensor<?x4xi8>, %w: tensor<1x16x64xi8>, %out: tensor<?x8xi32>, %floats: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %p = sq.packed_matmul ins(%x, %w : tensor<?x4xi8>, tensor<1x16x64xi8>) outs(%out : tensor<?x8xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  } -> tensor<?x8xi32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x8xi32>) outs(%floats : tensor<?x8xf32>) attrs = {sq.border = "dequantize"} {
  ^bb0(%i: i32, %o: f32):
    %v = arith.sitofp %i : i32 to f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
