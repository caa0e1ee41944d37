// RUN: sq-opt %s --allow-unregistered-dialect --sq-plan-arena --split-input-file --verify-diagnostics

func.func @data_dependent(%x: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %first = memref.alloc() : memref<1xindex>
  "test.kernel"(%x, %first) : (memref<1xindex>, memref<1xindex>) -> ()
  %n = memref.load %first[%c0] : memref<1xindex>
  // expected-error@+1 {{the size of a tensor depends on run-time data; only sizes that follow from the dims of the inputs are supported}}
  %a = memref.alloc(%n) : memref<?xf32>
  "test.kernel"(%x, %a) : (memref<1xindex>, memref<?xf32>) -> ()
  return
}

// -----

func.func @in_kernel(%x: memref<4xf32>) {
  %c1 = arith.constant 1 : index
  sq.parallel "k" %c1, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    // expected-error@+1 {{'memref.alloc' op lies inside a kernel; scratch memory must be allocated outside}}
    %a = memref.alloc() : memref<4xf32>
    memref.copy %x, %a : memref<4xf32> to memref<4xf32>
    sq.yield
  }
  return
}

// -----

func.func @elements(%x: memref<4xf32>) {
  // expected-error@+1 {{'memref.alloc' op cannot be placed in the arena: 'memref<4xcomplex<f32>>'}}
  %a = memref.alloc() : memref<4xcomplex<f32>>
  "test.kernel"(%x, %a) : (memref<4xf32>, memref<4xcomplex<f32>>) -> ()
  return
}

// -----

func.func @layout(%x: memref<4xf32>) {
  // expected-error@+1 {{'memref.alloc' op cannot be placed in the arena: 'memref<4x4xf32, strided<[8, 1]>>'}}
  %a = memref.alloc() : memref<4x4xf32, strided<[8, 1]>>
  "test.kernel"(%x, %a) : (memref<4xf32>, memref<4x4xf32, strided<[8, 1]>>) -> ()
  return
}
