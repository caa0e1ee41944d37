// RUN: sq-opt %s --sq-chunk-batch --canonicalize --cse --split-input-file | FileCheck %s

// Two layers in a loop over parts of 128 rows per thread. What is between them
// is as large as a part. Work is that of the whole batch.
// CHECK-LABEL: @two_layers
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<?x?x64xf32>{{.*}}, %[[W:[a-z0-9]+]]: memref<2x64x48xf32>, %[[V:[a-z0-9]+]]: memref<2x64x48xf32>, %[[MASK:[a-z0-9]+]]: memref<?x1x1x?xf32>{{.*}}, %[[Y:[a-z0-9]+]]: memref<?x?x64xf32>
// CHECK-DAG: %[[B:.*]] = memref.dim %[[X]], %c0
// CHECK-DAG: %[[S:.*]] = memref.dim %[[X]], %c1
// CHECK-DAG: %[[T:.*]] = sq.threads
// CHECK: %[[ROWS:.*]] = arith.muli %[[T]], %c128
// CHECK: %[[EACH:.*]] = arith.maxui %[[S]], %c1
// CHECK: %[[PARTS:.*]] = arith.divui %[[ROWS]], %[[EACH]]
// CHECK: %[[STEP:.*]] = arith.maxui %[[PARTS]], %c1
// CHECK: %[[MOST:.*]] = arith.minui %[[STEP]], %[[B]]
// CHECK-COUNT-2: memref.alloc(%[[MOST]], %[[S]]) {sq.chunk} : memref<?x?x64xf32>
// CHECK-NOT: memref.alloc
// CHECK: scf.for %[[I:.*]] = %c0 to %[[B]] step %[[STEP]] {
// CHECK: %[[LEFT:.*]] = arith.subi %[[B]], %[[I]]
// CHECK: %[[N:.*]] = arith.minui %[[STEP]], %[[LEFT]]
// CHECK-DAG: %[[XP:.*]] = sq.part %[[X]][%[[I]], %[[N]]]
// CHECK-DAG: %[[YP:.*]] = sq.part %[[Y]][%[[I]], %[[N]]]
// CHECK-DAG: %[[MP:.*]] = sq.part %[[MASK]][%[[I]], %[[N]]]
// CHECK: sq.packed_matmul ins(%[[XP]], %[[W]] :
// CHECK-SAME: sq.work = {flops = "8192*B*S"
// CHECK: sq.attention {{.*}} mask(%[[MP]] :
// CHECK: sq.packed_matmul {{.*}} outs(%[[YP]] :
func.func @two_layers(%x: memref<?x?x64xf32> {sq.dims = ["B", "S", ""]}, %w: memref<2x64x48xf32>, %v: memref<2x64x48xf32>,
                      %mask: memref<?x1x1x?xf32> {sq.dims = ["B", "", "", "S"]}, %y: memref<?x?x64xf32> {sq.dims = ["B", "S", ""]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = memref.dim %x, %c0 : memref<?x?x64xf32>
  %s = memref.dim %x, %c1 : memref<?x?x64xf32>
  %h = memref.alloc(%b, %s) : memref<?x?x64xf32>
  sq.packed_matmul ins(%x, %w : memref<?x?x64xf32>, memref<2x64x48xf32>) outs(%h : memref<?x?x64xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  %heads = memref.expand_shape %h [[0], [1], [2, 3]] output_shape [%b, %s, 2, 32] : memref<?x?x64xf32> into memref<?x?x2x32xf32>
  %a = memref.alloc(%b, %s) : memref<?x?x64xf32>
  %o = memref.expand_shape %a [[0], [1], [2, 3]] output_shape [%b, %s, 2, 32] : memref<?x?x64xf32> into memref<?x?x2x32xf32>
  sq.attention ins(%heads, %heads, %heads : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) mask(%mask : memref<?x1x1x?xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 0.25 : f32}
  sq.packed_matmul ins(%a, %v : memref<?x?x64xf32>, memref<2x64x48xf32>) outs(%y : memref<?x?x64xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// Near miss: the layer between adds across the batch, and one layer is no run.
// CHECK-LABEL: @sum_over_batch
// CHECK-NOT: scf.for
func.func @sum_over_batch(%x: memref<?x64xf32> {sq.dims = ["B", ""]}, %w: memref<2x64x48xf32>, %sum: memref<64xf32>, %y: memref<?x64xf32> {sq.dims = ["B", ""]}) {
  %c0 = arith.constant 0 : index
  %b = memref.dim %x, %c0 : memref<?x64xf32>
  %h = memref.alloc(%b) : memref<?x64xf32>
  sq.packed_matmul ins(%x, %w : memref<?x64xf32>, memref<2x64x48xf32>) outs(%h : memref<?x64xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>], iterator_types = ["reduction", "parallel"]}
      ins(%h : memref<?x64xf32>) outs(%sum : memref<64xf32>) {
  ^bb0(%in: f32, %out: f32):
    %t = arith.addf %in, %out : f32
    linalg.yield %t : f32
  }
  sq.packed_matmul ins(%h, %w : memref<?x64xf32>, memref<2x64x48xf32>) extras(%sum : memref<64xf32>) outs(%y : memref<?x64xf32>) {
  ^bb0(%acc: f32, %e: f32):
    %t = arith.addf %acc, %e : f32
    sq.yield %t : f32
  }
  return
}

// -----

// Near misses: a place in the batch as a value, and the batch's size as one.
// CHECK-LABEL: @place_in_batch
// CHECK-NOT: scf.for
#id = affine_map<(i, j) -> (i, j)>
func.func @place_in_batch(%x: memref<?x64xf32> {sq.dims = ["B", ""]}, %w: memref<2x64x48xf32>, %y: memref<?x64xf32> {sq.dims = ["B", ""]}) {
  %c0 = arith.constant 0 : index
  %b = memref.dim %x, %c0 : memref<?x64xf32>
  %n = arith.index_cast %b : index to i32
  sq.packed_matmul ins(%x, %w : memref<?x64xf32>, memref<2x64x48xf32>) outs(%y : memref<?x64xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%y : memref<?x64xf32>) {
  ^bb0(%out: f32):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i32
    %f = arith.sitofp %j : i32 to f32
    %t = arith.addf %out, %f : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%y : memref<?x64xf32>) {
  ^bb0(%out: f32):
    %f = arith.sitofp %n : i32 to f32
    %t = arith.addf %out, %f : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// What the mask needs is computed before the loop, though its first loop is along
// the batch: the second reads it where its own values say.
// CHECK-LABEL: @left_out
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: memref.load
// CHECK: scf.for
// CHECK-NOT: linalg.generic
// CHECK: sq.packed_matmul
// CHECK: sq.packed_matmul
#map = affine_map<(i, j) -> (i, j)>
func.func @left_out(%ids: memref<?x64xi64> {sq.dims = ["B", ""]}, %x: memref<?x64xf32> {sq.dims = ["B", ""]}, %w: memref<2x64x48xf32>, %y: memref<?x64xf32> {sq.dims = ["B", ""]}) {
  %c0 = arith.constant 0 : index
  %b = memref.dim %x, %c0 : memref<?x64xf32>
  %h = memref.alloc(%b) : memref<?x64xf32>
  sq.packed_matmul ins(%x, %w : memref<?x64xf32>, memref<2x64x48xf32>) outs(%h : memref<?x64xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  %f = memref.alloc(%b) : memref<?x64xf32>
  linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%ids : memref<?x64xi64>) outs(%f : memref<?x64xf32>) {
  ^bb0(%in: i64, %out: f32):
    %t = arith.sitofp %in : i64 to f32
    linalg.yield %t : f32
  }
  %g = memref.alloc(%b) : memref<?x64xf32>
  linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%ids : memref<?x64xi64>) outs(%g : memref<?x64xf32>) {
  ^bb0(%in: i64, %out: f32):
    %i = arith.index_cast %in : i64 to index
    %t = memref.load %f[%i, %c0] : memref<?x64xf32>
    linalg.yield %t : f32
  }
  sq.packed_matmul ins(%h, %w : memref<?x64xf32>, memref<2x64x48xf32>) extras(%g : memref<?x64xf32>) outs(%y : memref<?x64xf32>) {
  ^bb0(%acc: f32, %e: f32):
    %t = arith.addf %acc, %e : f32
    sq.yield %t : f32
  }
  return
}
