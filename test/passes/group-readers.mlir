// RUN: sq-opt %s --sq-group-readers=group=2 | FileCheck %s
// RUN: sq-opt %s --sq-group-readers=group=2 --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize | FileCheck %s --check-prefix=BUFFERS

// Five users, through a view too: in groups of two; the size and the result stay with the tensor itself.
// CHECK-LABEL: @read
// CHECK-SAME: %[[X:arg0]]: tensor<8xf32>
// CHECK: %[[M:.*]] = bufferization.to_buffer %[[X]] read_only : tensor<8xf32> to memref<8xf32>
// CHECK-COUNT-3: bufferization.to_tensor %[[M]] restrict
// CHECK-NOT: ins(%[[X]]
// CHECK: return %[[X]]
// BUFFERS-LABEL: @read
// BUFFERS-NOT: memref.copy
// BUFFERS: return
func.func @read(%x: tensor<8xf32>, %y: tensor<8xf32>, %z: tensor<4xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<4xf32>) {
  %0 = linalg.exp ins(%x : tensor<8xf32>) outs(%y : tensor<8xf32>) -> tensor<8xf32>
  %1 = linalg.add ins(%x, %0 : tensor<8xf32>, tensor<8xf32>) outs(%0 : tensor<8xf32>) -> tensor<8xf32>
  %2 = linalg.mul ins(%x, %1 : tensor<8xf32>, tensor<8xf32>) outs(%1 : tensor<8xf32>) -> tensor<8xf32>
  %3 = linalg.sub ins(%x, %2 : tensor<8xf32>, tensor<8xf32>) outs(%2 : tensor<8xf32>) -> tensor<8xf32>
  %part = tensor.extract_slice %x[2] [4] [1] : tensor<8xf32> to tensor<4xf32>
  %4 = linalg.exp ins(%part : tensor<4xf32>) outs(%z : tensor<4xf32>) -> tensor<4xf32>
  return %x, %3, %4 : tensor<8xf32>, tensor<8xf32>, tensor<4xf32>
}

// Something may write to it, here to a part of it: bufferization must see all readers.
// CHECK-LABEL: @written
// CHECK-NOT: bufferization
// CHECK: return
func.func @written(%x: tensor<8xf32>, %y: tensor<8xf32>, %z: tensor<4xf32>) -> (tensor<8xf32>, tensor<4xf32>) {
  %0 = linalg.exp ins(%x : tensor<8xf32>) outs(%y : tensor<8xf32>) -> tensor<8xf32>
  %1 = linalg.add ins(%x, %0 : tensor<8xf32>, tensor<8xf32>) outs(%0 : tensor<8xf32>) -> tensor<8xf32>
  %2 = linalg.mul ins(%x, %1 : tensor<8xf32>, tensor<8xf32>) outs(%1 : tensor<8xf32>) -> tensor<8xf32>
  %part = tensor.extract_slice %x[2] [4] [1] : tensor<8xf32> to tensor<4xf32>
  %3 = linalg.exp ins(%z : tensor<4xf32>) outs(%part : tensor<4xf32>) -> tensor<4xf32>
  return %2, %3 : tensor<8xf32>, tensor<4xf32>
}
