// RUN: sq-opt %s --allow-unregistered-dialect --sq-plan-arena --canonicalize --cse --canonicalize --split-input-file | FileCheck %s

// Three buffers in a chain: the third may lie where the first was, not where
// the second is, which is read while the third is written. Sizes are rounded
// up to 64 bytes.
// CHECK-LABEL: @chain
// CHECK: %[[ARENA:.*]] = sq.arena %c192 : memref<?xi8>
// CHECK-DAG: %[[A:.*]] = memref.view %[[ARENA]][%c0][] : memref<?xi8> to memref<30xf32>
// CHECK-DAG: %[[B:.*]] = memref.view %[[ARENA]][%c128][] : memref<?xi8> to memref<3xf32>
// CHECK-DAG: %[[C:.*]] = memref.view %[[ARENA]][%c0][] : memref<?xi8> to memref<20xf32>
// CHECK-NOT: memref.alloc
// CHECK: return
func.func @chain(%x: memref<30xf32>, %y: memref<20xf32>) {
  %a = memref.alloc() : memref<30xf32>
  "test.kernel"(%x, %a) : (memref<30xf32>, memref<30xf32>) -> ()
  %b = memref.alloc() : memref<3xf32>
  "test.kernel"(%a, %b) : (memref<30xf32>, memref<3xf32>) -> ()
  %c = memref.alloc() : memref<20xf32>
  "test.kernel"(%b, %c) : (memref<3xf32>, memref<20xf32>) -> ()
  "test.kernel"(%c, %y) : (memref<20xf32>, memref<20xf32>) -> ()
  return
}

// -----

// Near miss: the first buffer is read again at the end, through a view, so
// nothing is shared.
// CHECK-LABEL: @used_through_view
// CHECK: sq.arena %c192
// CHECK-DAG: memref.view %{{.*}}[%c0]
// CHECK-DAG: memref.view %{{.*}}[%c64]
// CHECK-DAG: memref.view %{{.*}}[%c128]
func.func @used_through_view(%x: memref<4x4xf32>) {
  %a = memref.alloc() : memref<4x4xf32>
  %v = memref.collapse_shape %a [[0, 1]] : memref<4x4xf32> into memref<16xf32>
  "test.kernel"(%x, %a) : (memref<4x4xf32>, memref<4x4xf32>) -> ()
  %b = memref.alloc() : memref<16xf32>
  "test.kernel"(%x, %b) : (memref<4x4xf32>, memref<16xf32>) -> ()
  %c = memref.alloc() : memref<16xf32>
  "test.kernel"(%b, %c) : (memref<16xf32>, memref<16xf32>) -> ()
  "test.kernel"(%v, %c) : (memref<16xf32>, memref<16xf32>) -> ()
  return
}

// -----

// A use inside a kernel is a use at the kernel's place in the schedule.
// CHECK-LABEL: @used_in_kernel
// CHECK: sq.arena %c128
func.func @used_in_kernel(%x: memref<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<16xf32>
  "test.kernel"(%x, %a) : (memref<16xf32>, memref<16xf32>) -> ()
  %b = memref.alloc() : memref<16xf32>
  sq.parallel "k" %c1, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %v = memref.load %a[%c0] : memref<16xf32>
    memref.store %v, %b[%c0] : memref<16xf32>
    sq.yield
  }
  return
}

// -----

// Sizes that cannot be compared: what comes behind both begins at the larger
// end, known when the dims are. All sizes are computed before the arena.
// CHECK-LABEL: @symbolic
// CHECK-SAME: (%[[X:.*]]: memref<?x?xf32>
// CHECK-DAG: %[[N:.*]] = memref.dim %[[X]], %c0
// CHECK-DAG: %[[M:.*]] = memref.dim %[[X]], %c1
// CHECK-DAG: %[[BA0:.*]] = arith.muli %[[N]], %c4
// CHECK-DAG: %[[BA1:.*]] = arith.addi %[[BA0]], %c63
// CHECK-DAG: %[[BA:.*]] = arith.andi %[[BA1]], %c-64
// CHECK-DAG: %[[BC0:.*]] = arith.muli %[[M]], %c4
// CHECK-DAG: %[[BC1:.*]] = arith.addi %[[BC0]], %c63
// CHECK-DAG: %[[BC:.*]] = arith.andi %[[BC1]], %c-64
// CHECK-DAG: %[[SLOT:.*]] = arith.maxui %[[BA]], %[[BC]]
// CHECK: %[[TOTAL:.*]] = arith.addi %[[SLOT]], %[[BA]]
// CHECK: %[[ARENA:.*]] = sq.arena %[[TOTAL]] : memref<?xi8>
// CHECK: memref.view %[[ARENA]][%c0][%[[N]]] : memref<?xi8> to memref<?xf32>
// CHECK: memref.view %[[ARENA]][%[[SLOT]]][%[[N]]] : memref<?xi8> to memref<?xf32>
// CHECK: memref.view %[[ARENA]][%c0][%[[M]]] : memref<?xi8> to memref<?xf32>
func.func @symbolic(%x: memref<?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?x?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  "test.kernel"(%x, %a) : (memref<?x?xf32>, memref<?xf32>) -> ()
  %b = memref.alloc(%n) : memref<?xf32>
  "test.kernel"(%a, %b) : (memref<?xf32>, memref<?xf32>) -> ()
  %m = memref.dim %x, %c1 : memref<?x?xf32>
  %c = memref.alloc(%m) : memref<?xf32>
  "test.kernel"(%b, %c) : (memref<?xf32>, memref<?xf32>) -> ()
  return
}

// -----

// The largest first, the others where they fit: both pairs share two places.
// CHECK-LABEL: @large_first
// CHECK-SAME: (%[[X:.*]]: memref<?x16xf32>
// CHECK-NOT: arith.maxui
// CHECK: %[[S:.*]] = memref.view %{{.*}}[%[[BEHIND:.*]]][] : memref<?xi8> to memref<16xf32>
// CHECK: %[[L:.*]] = memref.view %{{.*}}[%c0][%{{.*}}] : memref<?xi8> to memref<?x16xf32>
// CHECK: "test.kernel"(%[[S]], %[[L]])
// CHECK: "test.kernel"(%[[S]], %[[L]])
func.func @large_first(%x: memref<?x16xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x16xf32>
  %small = memref.alloc() : memref<16xf32>
  %large = memref.alloc(%n) : memref<?x16xf32>
  "test.kernel"(%small, %large) : (memref<16xf32>, memref<?x16xf32>) -> ()
  %large2 = memref.alloc(%n) : memref<?x16xf32>
  %small2 = memref.alloc() : memref<16xf32>
  "test.kernel"(%small2, %large2) : (memref<16xf32>, memref<?x16xf32>) -> ()
  return
}

// -----

// Two smaller buffers side by side where a large one was: 128 n bytes are
// certainly enough for 64 n and 64 n, whatever n.
// CHECK-LABEL: @side_by_side
// CHECK: %[[N:.*]] = memref.dim
// CHECK: %[[ALL:.*]] = arith.muli %[[N]], %c128
// CHECK: %[[AA:.*]] = arith.addi %[[ALL]], %c63
// CHECK: %[[LARGE:.*]] = arith.andi %[[AA]], %c-64
// CHECK: %[[HALF:.*]] = arith.muli %[[N]], %c64
// CHECK: %[[HH:.*]] = arith.addi %[[HALF]], %c63
// CHECK: %[[SMALL:.*]] = arith.andi %[[HH]], %c-64
// CHECK: %[[ARENA:.*]] = sq.arena %[[LARGE]] : memref<?xi8>
// CHECK: memref.view %[[ARENA]][%c0]{{.*}} to memref<?x32xf32>
// CHECK: memref.view %[[ARENA]][%c0]{{.*}} to memref<?x16xf32>
// CHECK: memref.view %[[ARENA]][%[[SMALL]]]{{.*}} to memref<?x16xf32>
func.func @side_by_side(%x: memref<?x16xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x16xf32>
  %large = memref.alloc(%n) : memref<?x32xf32>
  "test.kernel"(%large) : (memref<?x32xf32>) -> ()
  %a = memref.alloc(%n) : memref<?x16xf32>
  %b = memref.alloc(%n) : memref<?x16xf32>
  "test.kernel"(%a, %b) : (memref<?x16xf32>, memref<?x16xf32>) -> ()
  return
}

// -----

// A buffer lives from its first use: allocated early, or looked at for an
// extent, it takes no place yet.
// CHECK-LABEL: @allocated_early
// CHECK: sq.arena %c64
func.func @allocated_early(%x: memref<16xf32>) {
  %c0 = arith.constant 0 : index
  %late = memref.alloc() : memref<16xf32>
  %view = memref.expand_shape %late [[0, 1]] output_shape [4, 4] : memref<16xf32> into memref<4x4xf32>
  %n = memref.dim %view, %c0 : memref<4x4xf32>
  %early = memref.alloc() : memref<16xf32>
  "test.kernel"(%x, %early) : (memref<16xf32>, memref<16xf32>) -> ()
  "test.kernel"(%x, %view) : (memref<16xf32>, memref<4x4xf32>) -> ()
  return
}

// -----

// No buffers, no arena.
// CHECK-LABEL: @none
// CHECK-NOT: sq.arena
// CHECK: return
func.func @none(%x: memref<4xf32>) {
  return
}

// -----

// A size from data: an arena of its own, where the data are known. What comes later
// and fits there lies in it too.
// CHECK-LABEL: @data_dependent
// CHECK: %[[FIRST:.*]] = sq.arena %c64{{.*}} : memref<?xi8>
// CHECK: %[[N:.*]] = memref.load
// CHECK: %[[SECOND:.*]] = sq.arena %{{.*}} {index = 1 : i32} : memref<?xi8>
// CHECK: memref.view %[[SECOND]][%{{.*}}][%[[N]]] : memref<?xi8> to memref<?xf32>
// CHECK: memref.view %[[SECOND]]
// CHECK-NOT: memref.alloc
func.func @data_dependent(%x: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %first = memref.alloc() : memref<1xindex>
  "test.kernel"(%x, %first) : (memref<1xindex>, memref<1xindex>) -> ()
  %n = memref.load %first[%c0] : memref<1xindex>
  %a = memref.alloc(%n) : memref<?xf32>
  "test.kernel"(%x, %a) : (memref<1xindex>, memref<?xf32>) -> ()
  %b = memref.alloc(%n) : memref<?xf32>
  "test.kernel"(%a, %b) : (memref<?xf32>, memref<?xf32>) -> ()
  return
}

// -----

// What a loop does not write anew lives through all of it: the two of its body share
// no memory with the one from outside, but with each other.
// CHECK-LABEL: @in_loop
// CHECK: sq.arena %c128{{.*}} : memref<?xi8>
func.func @in_loop(%x: memref<4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %state = memref.alloc() : memref<4xf32>
  "test.kernel"(%x, %state) : (memref<4xf32>, memref<4xf32>) -> ()
  scf.for %i = %c0 to %n step %c1 {
    %a = memref.alloc() : memref<4xf32>
    "test.kernel"(%state, %a) : (memref<4xf32>, memref<4xf32>) -> ()
    "test.kernel"(%a, %state) : (memref<4xf32>, memref<4xf32>) -> ()
    %b = memref.alloc() : memref<4xf32>
    "test.kernel"(%state, %b) : (memref<4xf32>, memref<4xf32>) -> ()
    "test.kernel"(%b, %state) : (memref<4xf32>, memref<4xf32>) -> ()
  }
  return
}
