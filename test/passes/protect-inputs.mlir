// RUN: sq-opt %s --sq-protect-inputs | FileCheck %s
// RUN: sq-opt %s --sq-graph-to-buffers | FileCheck %s --check-prefix=BUFFERS

// What is scattered into is a copy; a cache is written where it lies.
// CHECK: func.func @main(%{{.*}}: tensor<8xf32> {bufferization.writable = false, sq.name = "x"}, %{{.*}}: tensor<4xf32> {sq.name = "sq.cache:0"}, %{{.*}}: index, %{{.*}}: tensor<f32> {bufferization.writable = false})
// BUFFERS: func.func @main(%[[X:.*]]: memref<8xf32>{{.*}}, %[[CACHE:.*]]: memref<4xf32>{{.*}}, %[[I:.*]]: index, %[[U:.*]]: memref<f32>
// BUFFERS-NOT: memref.store %{{.*}}, %[[X]]
// BUFFERS: %[[V:.*]] = memref.load %[[U]][]
// BUFFERS: memref.store %[[V]], %[[CACHE]][%[[I]]]
// BUFFERS-NOT: memref.store %{{.*}}, %[[X]]
func.func @main(%x: tensor<8xf32> {sq.name = "x"}, %cache: tensor<4xf32> {sq.name = "sq.cache:0"}, %i: index, %u: tensor<f32>) -> (tensor<8xf32>, tensor<4xf32>) {
  %v = tensor.extract %u[] : tensor<f32>
  %y = tensor.insert %v into %x[%i] : tensor<8xf32>
  %z = tensor.insert %v into %cache[%i] : tensor<4xf32>
  return %y, %z : tensor<8xf32>, tensor<4xf32>
}
