// RUN: sq-opt %s --allow-unregistered-dialect --sq-reuse-buffers --split-input-file | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>

// Elementwise: %b dies here, so its memory takes the result.
// CHECK-LABEL: @elementwise
// CHECK: %[[B:.*]] = memref.alloc(%{{.*}}) : memref<?x8xf32>
// CHECK-NOT: memref.alloc
// CHECK: linalg.generic {{.*}} ins(%[[B]], %{{.*}}) outs(%[[B]] :
// CHECK: "test.kernel"(%[[B]], %{{.*}})
func.func @elementwise(%x: memref<?x8xf32>, %r: memref<8xf32>, %n: index) {
  %b = memref.alloc(%n) : memref<?x8xf32>
  "test.kernel"(%x, %b) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  %c = memref.alloc(%n) : memref<?x8xf32>
  linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
    ins(%b, %r : memref<?x8xf32>, memref<8xf32>) outs(%c : memref<?x8xf32>) {
  ^bb0(%v: f32, %w: f32, %o: f32):
    %s = arith.addf %v, %w : f32
    linalg.yield %s : f32
  }
  "test.kernel"(%c, %x) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  return
}

// -----

// The row kernels: softmax after layer norm, all in one buffer.
// CHECK-LABEL: @rows
// CHECK-COUNT-1: memref.alloc
// CHECK-NOT: memref.alloc
func.func @rows(%x: memref<?x8xf32>, %s: memref<8xf32>, %n: index) {
  %a = memref.alloc(%n) : memref<?x8xf32>
  "test.kernel"(%x, %a) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  %b = memref.alloc(%n) : memref<?x8xf32>
  sq.layer_norm ins(%a, %s : memref<?x8xf32>, memref<8xf32>) outs(%b : memref<?x8xf32>) {epsilon = 1.0e-5 : f32}
  %c = memref.alloc(%n) : memref<?x8xf32>
  sq.softmax ins(%b : memref<?x8xf32>) outs(%c : memref<?x8xf32>)
  "test.kernel"(%c, %x) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#t = affine_map<(d0, d1) -> (d1, d0)>

// Near miss: an iteration would overwrite what another one still reads.
// CHECK-LABEL: @transposed
// CHECK-COUNT-2: memref.alloc
func.func @transposed(%x: memref<8x8xf32>) {
  %b = memref.alloc() : memref<8x8xf32>
  "test.kernel"(%x, %b) : (memref<8x8xf32>, memref<8x8xf32>) -> ()
  %c = memref.alloc() : memref<8x8xf32>
  linalg.generic {indexing_maps = [#id, #t, #id], iterator_types = ["parallel", "parallel"]}
    ins(%b, %b : memref<8x8xf32>, memref<8x8xf32>) outs(%c : memref<8x8xf32>) {
  ^bb0(%v: f32, %w: f32, %o: f32):
    %s = arith.addf %v, %w : f32
    linalg.yield %s : f32
  }
  "test.kernel"(%c, %x) : (memref<8x8xf32>, memref<8x8xf32>) -> ()
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Near misses: read later through a view; of another size; looked up in the
// body; in use before the op; the memory of the caller.
// CHECK-LABEL: @kept
// CHECK: linalg.generic {{.*}} ins(%[[A:.*]] : memref<?xf32>) outs(%[[B:.*]] : memref<?xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[B]] : memref<?xf32>) outs(%[[C:.*]] : memref<?xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[C]] : memref<?xf32>) outs(%[[D:.*]] : memref<?xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[D]] : memref<?xf32>) outs(%[[E:.*]] : memref<?xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[E]] : memref<?xf32>) outs(%{{.*}} : memref<?xf32>)
func.func @kept(%x: memref<?xf32>, %n: index, %m: index, %i: index) {
  %a = memref.alloc(%n) : memref<?xf32>
  %view = memref.expand_shape %a [[0, 1]] output_shape [%n, 1] : memref<?xf32> into memref<?x1xf32>
  "test.kernel"(%x, %a) : (memref<?xf32>, memref<?xf32>) -> ()
  %b = memref.alloc(%n) : memref<?xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%a : memref<?xf32>) outs(%b : memref<?xf32>) {
  ^bb0(%v: f32, %o: f32):
    linalg.yield %v : f32
  }
  %c = memref.alloc(%m) : memref<?xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%b : memref<?xf32>) outs(%c : memref<?xf32>) {
  ^bb0(%v: f32, %o: f32):
    linalg.yield %v : f32
  }
  %d = memref.alloc(%m) : memref<?xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%c : memref<?xf32>) outs(%d : memref<?xf32>) {
  ^bb0(%v: f32, %o: f32):
    %w = memref.load %c[%i] : memref<?xf32>
    %s = arith.addf %v, %w : f32
    linalg.yield %s : f32
  }
  %e = memref.alloc(%m) : memref<?xf32>
  "test.kernel"(%x, %e) : (memref<?xf32>, memref<?xf32>) -> ()
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%d : memref<?xf32>) outs(%e : memref<?xf32>) {
  ^bb0(%v: f32, %o: f32):
    %s = arith.addf %v, %o : f32
    linalg.yield %s : f32
  }
  %y = sq.output 0(%m) : memref<?xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%e : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%v: f32, %o: f32):
    linalg.yield %v : f32
  }
  "test.kernel"(%view, %x) : (memref<?x1xf32>, memref<?xf32>) -> ()
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Near miss: a view of the result stands before the operand is allocated.
// CHECK-LABEL: @viewed_before
// CHECK-COUNT-2: memref.alloc
func.func @viewed_before(%x: memref<?xf32>, %n: index) {
  %c = memref.alloc(%n) : memref<?xf32>
  %view = memref.expand_shape %c [[0, 1]] output_shape [%n, 1] : memref<?xf32> into memref<?x1xf32>
  %b = memref.alloc(%n) : memref<?xf32>
  "test.kernel"(%x, %b) : (memref<?xf32>, memref<?xf32>) -> ()
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%b : memref<?xf32>) outs(%c : memref<?xf32>) {
  ^bb0(%v: f32, %o: f32):
    linalg.yield %v : f32
  }
  "test.kernel"(%view) : (memref<?x1xf32>) -> ()
  return
}
