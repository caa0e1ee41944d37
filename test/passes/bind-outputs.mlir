// RUN: sq-opt %s --sq-bind-outputs --split-input-file | FileCheck %s

// The buffer of a result becomes the output itself; names stay for the manifest.
// CHECK-LABEL: func.func @buffer
// CHECK-SAME: (%[[X:.*]]: memref<?x4xf32>) attributes {sq.results = [{sq.name = "y"}]} {
// CHECK: %[[N:.*]] = memref.dim %[[X]], %{{.*}}
// CHECK: %[[Y:.*]] = sq.output 0(%[[N]]) : memref<?x4xf32>
// CHECK-NOT: memref.alloc
// CHECK: sq.softmax ins(%[[X]] : memref<?x4xf32>) outs(%[[Y]] : memref<?x4xf32>)
// CHECK-NOT: memref.copy
// CHECK: return{{$}}
func.func @buffer(%x: memref<?x4xf32>) -> (memref<?x4xf32> {sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x4xf32>
  %y = memref.alloc(%n) : memref<?x4xf32>
  sq.softmax ins(%x : memref<?x4xf32>) outs(%y : memref<?x4xf32>)
  return %y : memref<?x4xf32>
}

// -----

// A result that is a whole buffer in another shape: the output has the result's
// shape, and the buffer is a view of it.
// CHECK-LABEL: func.func @reshaped
// CHECK-SAME: (%[[X:.*]]: memref<?x8xf32>)
// CHECK: %[[Y:.*]] = sq.output 0({{.*}}) : memref<?x2x4xf32>
// CHECK: %[[B:.*]] = memref.reinterpret_cast %[[Y]] to offset: [0], sizes: [%{{.*}}, 8], strides: [8, 1] : memref<?x2x4xf32> to memref<?x8xf32>
// CHECK-NOT: memref.alloc
// CHECK: sq.softmax ins(%[[X]] : {{.*}}) outs(%[[B]] : memref<?x8xf32>)
// CHECK-NOT: memref.copy
// CHECK: return{{$}}
func.func @reshaped(%x: memref<?x8xf32>) -> memref<?x2x4xf32> {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  %y = memref.alloc(%n) : memref<?x8xf32>
  sq.softmax ins(%x : memref<?x8xf32>) outs(%y : memref<?x8xf32>)
  %z = memref.expand_shape %y [[0], [1, 2]] output_shape [%n, 2, 4] : memref<?x8xf32> into memref<?x2x4xf32>
  return %z : memref<?x2x4xf32>
}

// -----

// The size of the output is known only below the buffer: its computation moves
// up.
// CHECK-LABEL: func.func @size_below
// CHECK: %[[M:.*]] = arith.muli
// CHECK: %[[Y:.*]] = sq.output 0(%[[M]]) : memref<?xf32>
// CHECK: sq.softmax {{.*}} outs(
// CHECK-NOT: memref.copy
// CHECK: return{{$}}
func.func @size_below(%x: memref<?x?xf32>) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?x?xf32>
  %m = memref.dim %x, %c1 : memref<?x?xf32>
  %y = memref.alloc(%n, %m) : memref<?x?xf32>
  sq.softmax ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  %z = memref.collapse_shape %y [[0, 1]] : memref<?x?xf32> into memref<?xf32>
  return %z : memref<?xf32>
}

// -----

// Near miss: an input is not the function's to give away.
// CHECK-LABEL: func.func @input
// CHECK-SAME: (%[[X:.*]]: memref<?xf32>)
// CHECK: %[[N:.*]] = memref.dim %[[X]]
// CHECK: %[[Y:.*]] = sq.output 0(%[[N]]) : memref<?xf32>
// CHECK: memref.copy %[[X]], %[[Y]] : memref<?xf32> to memref<?xf32>
// CHECK: return{{$}}
func.func @input(%x: memref<?xf32>) -> memref<?xf32> {
  return %x : memref<?xf32>
}

// -----

// Near miss: a constant lies in the weight section.
// CHECK-LABEL: func.func @constant
// CHECK: %[[W:.*]] = sq.weight
// CHECK: %[[Y:.*]] = sq.output 0() : memref<4xf32>
// CHECK: memref.copy %[[W]], %[[Y]]
func.func @constant() -> memref<4xf32> {
  %w = sq.weight dense<1.0> : tensor<4xf32> {offset = 0 : i64} -> memref<4xf32>
  return %w : memref<4xf32>
}

// -----

// Near miss: the same buffer twice. The first result is in place, the second a
// copy of it.
// CHECK-LABEL: func.func @twice
// CHECK-SAME: attributes {sq.results = [{sq.name = "a"}, {sq.name = "b"}]}
// CHECK: %[[A:.*]] = sq.output 0() : memref<4xf32>
// CHECK: sq.softmax {{.*}} outs(%[[A]] :
// CHECK: %[[B:.*]] = sq.output 1() : memref<4xf32>
// CHECK: memref.copy %[[A]], %[[B]]
// CHECK: return{{$}}
func.func @twice(%x: memref<4xf32>) -> (memref<4xf32> {sq.name = "a"}, memref<4xf32> {sq.name = "b"}) {
  %y = memref.alloc() : memref<4xf32>
  sq.softmax ins(%x : memref<4xf32>) outs(%y : memref<4xf32>)
  return %y, %y : memref<4xf32>, memref<4xf32>
}

// -----

// Near miss: a part of a buffer, which has strides; the output is dense.
// CHECK-LABEL: func.func @part
// CHECK: %[[B:.*]] = memref.alloc() : memref<4x8xf32>
// CHECK: %[[V:.*]] = memref.subview %[[B]]
// CHECK: %[[Y:.*]] = sq.output 0() : memref<4x2xf32>
// CHECK: memref.copy %[[V]], %[[Y]] : memref<4x2xf32, strided<[8, 1]>> to memref<4x2xf32>
func.func @part(%x: memref<4x8xf32>) -> memref<4x2xf32, strided<[8, 1]>> {
  %y = memref.alloc() : memref<4x8xf32>
  sq.softmax ins(%x : memref<4x8xf32>) outs(%y : memref<4x8xf32>)
  %z = memref.subview %y[0, 0] [4, 2] [1, 1] : memref<4x8xf32> to memref<4x2xf32, strided<[8, 1]>>
  return %z : memref<4x2xf32, strided<[8, 1]>>
}

// -----

// No results: nothing to bind, and the manifest has an empty list.
// CHECK-LABEL: func.func @none
// CHECK-SAME: attributes {sq.results = []}
func.func @none(%x: memref<4xf32>) {
  return
}

// -----

// The type of the buffer, but other sizes: still a view.
// CHECK-LABEL: func.func @transposed_sizes
// CHECK: %[[Y:.*]] = sq.output 0({{.*}}) : memref<?x?xf32>
// CHECK: %[[B:.*]] = memref.reinterpret_cast %[[Y]]
// CHECK: sq.softmax {{.*}} outs(%[[B]] : memref<?x?xf32>)
func.func @transposed_sizes(%x: memref<?x?xf32>) -> memref<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?x?xf32>
  %m = memref.dim %x, %c1 : memref<?x?xf32>
  %y = memref.alloc(%n, %m) : memref<?x?xf32>
  sq.softmax ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  %flat = memref.collapse_shape %y [[0, 1]] : memref<?x?xf32> into memref<?xf32>
  %z = memref.expand_shape %flat [[0, 1]] output_shape [%m, %n] : memref<?xf32> into memref<?x?xf32>
  return %z : memref<?x?xf32>
}
