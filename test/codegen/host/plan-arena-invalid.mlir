// RUN: sq-opt %s --allow-unregistered-dialect --sq-plan-arena --split-input-file --verify-diagnostics

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

// -----

func.func @passed_on(%x: memref<4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<4xf32>
  // expected-error@+1 {{'scf.for' op passes a buffer on: it should have been written in place}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %a) -> memref<4xf32> {
    "test.kernel"(%x, %v) : (memref<4xf32>, memref<4xf32>) -> ()
    scf.yield %v : memref<4xf32>
  }
  return
}
