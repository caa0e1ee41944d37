// RUN: sq-opt %s --sq-lower-gpu-kernels --canonicalize --cse --split-input-file | FileCheck %s

// A warp for each row, four rows a block; lanes meet in five shuffles. A row of
// 384 is read once: each lane holds three pieces of four.
// CHECK-LABEL: @layer_norm
// CHECK-SAME: (%[[X:.*]]: memref<?x384xf32>, %{{.*}}: memref<384xf32>, %{{.*}}: memref<384xf32>, %[[Y:.*]]: memref<?x384xf32>)
// CHECK-NOT: sq.layer_norm
// CHECK: gpu.launch blocks({{.*}}) threads(%[[T:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %c128
// CHECK: %[[WARP:.*]] = arith.divui %[[T]], %c32
// CHECK: %[[LANE:.*]] = arith.remui %[[T]], %c32
// CHECK: scf.if
// CHECK: arith.muli %[[LANE]], %c4
// CHECK-COUNT-3: vector.load %[[X]]{{.*}} {alignment = 16 : i64} : memref<?x384xf32>, vector<4xf32>
// CHECK-NOT: vector.load %[[X]]
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: math.sqrt
// CHECK-COUNT-3: vector.store %{{.*}}, %[[Y]]
// CHECK: sq.name = "layer_norm", sq.work = {{.*}}kind = "layer_norm"
func.func @layer_norm(%x: memref<?x384xf32>, %s: memref<384xf32>, %b: memref<384xf32>, %y: memref<?x384xf32>) {
  sq.layer_norm ins(%x, %s : memref<?x384xf32>, memref<384xf32>) bias(%b : memref<384xf32>) outs(%y : memref<?x384xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// CHECK-LABEL: @rms_norm
// CHECK: gpu.launch
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-NOT: gpu.shuffle
func.func @rms_norm(%x: memref<?x64xf32>, %s: memref<64xf32>, %y: memref<?x64xf32>) {
  sq.rms_norm ins(%x, %s : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// CHECK-LABEL: @softmax
// CHECK: gpu.launch
// CHECK: arith.maximumf
// CHECK: math.exp
func.func @softmax(%x: memref<?x?xf32>, %y: memref<?x?xf32>) {
  sq.softmax ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  return
}

// -----

// Of 40 columns 10 lanes hold a piece: the others read one that exists, and count nothing.
// CHECK-LABEL: @tail
// CHECK: %[[AT:.*]] = arith.minui %[[COLUMN:.*]], %c36
// CHECK: %[[SHORT:.*]] = vector.load %{{.*}}, %[[AT]]] {alignment = 8 : i64} : memref<?x40xf16>, vector<4xf16>
// CHECK: %[[X:.*]] = arith.extf %[[SHORT]] : vector<4xf16> to vector<4xf32>
// CHECK: %[[IN:.*]] = arith.cmpi ult, %[[COLUMN]], %c40
// CHECK: arith.select %[[IN]], %[[X]]
// CHECK: scf.if %[[IN]] {
// CHECK: arith.truncf %{{.*}} : vector<4xf32> to vector<4xf16>
func.func @tail(%x: memref<?x40xf16>, %s: memref<40xf32>) {
  sq.rms_norm ins(%x, %s : memref<?x40xf16>, memref<40xf32>) outs(%x : memref<?x40xf16>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// Too long for registers: as often as it is needed.
// CHECK-LABEL: @long
// CHECK-COUNT-3: scf.for
func.func @long(%x: memref<?x4096xf16>, %s: memref<4096xf32>, %y: memref<?x4096xf16>) {
  sq.layer_norm ins(%x, %s : memref<?x4096xf16>, memref<4096xf32>) outs(%y : memref<?x4096xf16>) {epsilon = 1.0e-5 : f32}
  return
}
