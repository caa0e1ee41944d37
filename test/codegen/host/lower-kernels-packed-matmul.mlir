// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: sq-opt %s --sq-lower-kernels='level=x86-64-v3 tile=rows=6,vectors=2' --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,V3

// One full panel. AVX-512 takes its 48 columns in one go, 8 rows by 3 vectors;
// AVX2 has 16 registers: here 6 rows by 2 vectors, as --tile may say, and three such subpanels. The
// bias is added to the sums while they are in registers.
// CHECK-LABEL: @one_panel
// CHECK-SAME: (%[[X:.*]]: memref<?x9xf32>, %[[W:.*]]: memref<1x9x48xf32>, %[[B:.*]]: memref<48xf32>, %[[Y:.*]]: memref<?x48xf32>)
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[DEPTH:.*]] = arith.constant 8 : index
// CHECK-DAG: %[[C4:.*]] = arith.constant 4 : index
// CHECK-NOT: sq.packed_matmul
// CHECK: %[[ROWS:.*]] = memref.dim %[[X]], %[[C0]]
// CHECK: sq.parallel "matmul" %{{.*}}, %{{.*}} : index
// CHECK-NEXT: ^bb0(%[[BEGIN:.*]]: index, %[[END:.*]]: index, %{{.*}}: index):
// CHECK-NEXT: scf.for %{{.*}} = %[[BEGIN]] to %[[END]] step %[[C1]]
// The rows: full tiles, then the rest.
// CHECK: %[[COUNT:.*]] = arith.subi %[[LAST:.*]], %[[FIRST:.*]] : index
// AVX512: %[[REST:.*]] = arith.remui %[[COUNT]], %c8
// V3: %[[REST:.*]] = arith.remui %[[COUNT]], %c6
// CHECK: %[[FULL:.*]] = arith.subi %[[LAST]], %[[REST]]
// CHECK: scf.for %[[M:.*]] = %[[FIRST]] to %[[FULL]]
// Four steps of k a round, the ninth behind them.
// AVX512: %[[FOURS:.*]]:24 = scf.for %[[K:.*]] = %[[C0]] to %[[DEPTH]] step %[[C4]] iter_args(
// The next panel is fetched meanwhile.
// AVX512: memref.prefetch %[[W]][%{{.*}}, %[[C0]], %{{.*}}], read, locality<2>, data
// AVX512-NEXT: %[[R0:.*]] = vector.load %[[W]][{{.*}}, %[[K]], %[[C0]]] : memref<1x9x48xf32>, vector<16xf32>
// AVX512-NEXT: vector.load %[[W]][{{.*}}, %[[K]], %c16]
// AVX512-NEXT: vector.load %[[W]][{{.*}}, %[[K]], %c32]
// AVX512-NEXT: %[[L:.*]] = memref.load %[[X]][%{{.*}}, %[[K]]]
// AVX512-NEXT: %[[V:.*]] = vector.broadcast %[[L]] : f32 to vector<16xf32>
// AVX512-NEXT: vector.fma %[[V]], %[[R0]], %{{.*}} : vector<16xf32>
// AVX512-COUNT-95: vector.fma
// AVX512-NOT: vector.fma
// AVX512: scf.yield
// AVX512: memref.load %[[X]][%{{.*}}, %[[DEPTH]]]
// AVX512: %[[SUM:.*]] = vector.fma %{{.*}}, %{{.*}}, %[[FOURS]]#0
// AVX512-COUNT-23: vector.fma
// AVX512-NOT: vector.fma
// AVX512: %[[E:.*]] = vector.load %[[B]][%{{.*}}] : memref<48xf32>, vector<16xf32>
// AVX512: %[[S:.*]] = arith.addf %[[SUM]], %[[E]] : vector<16xf32>
// AVX512: vector.store %[[S]], %[[Y]][
// What is left is a tile of 2, 4, 6 or 8 rows, the last one perhaps twice.
// AVX512: scf.index_switch
// AVX512: case 1
// AVX512: arith.minui
// AVX512: :6 = scf.for
// AVX512: case 2
// AVX512: :12 = scf.for
// AVX512: case 3
// AVX512: :18 = scf.for
// AVX512: case 4
// AVX512: :24 = scf.for
// AVX512: default
// V3: :12 = scf.for %[[K:.*]] = %[[C0]] to %[[DEPTH]] step %[[C4]] iter_args(
// V3-COUNT-2: vector.load %[[W]]{{.*}}, vector<8xf32>
// V3-COUNT-48: vector.fma
// V3-NOT: vector.fma
// V3: scf.yield
// V3-COUNT-12: vector.fma
// V3: scf.index_switch
// V3: :4 = scf.for
// V3: :8 = scf.for
// V3: :12 = scf.for
// V3: scf.index_switch
// V3: scf.index_switch
// CHECK-NOT: vector.maskedload
// CHECK-NOT: vector.maskedstore
// CHECK: return
func.func @one_panel(%x: memref<?x9xf32>, %w: memref<1x9x48xf32>, %b: memref<48xf32>, %y: memref<?x48xf32>) {
  sq.packed_matmul ins(%x, %w : memref<?x9xf32>, memref<1x9x48xf32>) extras(%b : memref<48xf32>) outs(%y : memref<?x48xf32>) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %acc, %e : f32
    sq.yield %s : f32
  }
  return
}

// -----

// 100 columns are three panels, the last of 4 columns: it multiplies one vector
// and stores under a mask; the weight is padded and needs none. The two full
// panels store whole vectors.
// CHECK-LABEL: @tail
// CHECK: arith.cmpi eq, %{{.*}}, %c2
// CHECK: scf.if
// AVX512: :8 = scf.for
// V3: :6 = scf.for
// AVX512: %[[MASK:.*]] = vector.{{create_mask %c4|constant_mask \[4\]}} : vector<16xi1>
// V3: %[[MASK:.*]] = vector.{{create_mask %c4|constant_mask \[4\]}} : vector<8xi1>
// CHECK-NOT: vector.store
// CHECK: vector.maskedstore %{{.*}}, %[[MASK]],
// CHECK-NOT: vector.store
// CHECK: } else {
// AVX512: :24 = scf.for
// V3: :12 = scf.for
// CHECK-NOT: vector.maskedstore
// CHECK: vector.store
// CHECK-NOT: vector.maskedstore
// CHECK: return
func.func @tail(%x: memref<64x9xf32>, %w: memref<3x9x48xf32>, %y: memref<64x100xf32>) {
  sq.packed_matmul ins(%x, %w : memref<64x9xf32>, memref<3x9x48xf32>) outs(%y : memref<64x100xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// An epilogue with a transcendental function is applied in a second pass over
// the tile's rows, which lie in L1; extras of two dims are read at row and
// column.
// CHECK-LABEL: @costly_epilogue
// CHECK-SAME: %[[R:[^ ]*]]: memref<?x48xf32>, %[[Y:.*]]: memref<?x48xf32>)
// AVX512: :24 = scf.for
// V3: :12 = scf.for
// CHECK: vector.store %{{.*}}, %[[Y]]
// CHECK: scf.for %[[ROW:.*]] = %{{.*}} to %{{.*}} step
// CHECK-NEXT: %[[S:.*]] = vector.load %[[Y]][%[[ROW]], %[[N:.*]]] :
// CHECK-NEXT: %[[E:.*]] = vector.load %[[R]][%[[ROW]], %[[N]]] :
// AVX512-NEXT: %[[F:.*]] = math.erf %[[S]] : vector<16xf32>
// V3-NEXT: %[[F:.*]] = math.erf %[[S]] : vector<8xf32>
// CHECK-NEXT: %[[O:.*]] = arith.addf %[[F]], %[[E]]
// CHECK-NEXT: vector.store %[[O]], %[[Y]][%[[ROW]], %[[N]]]
func.func @costly_epilogue(%x: memref<?x9xf32>, %w: memref<1x9x48xf32>, %r: memref<?x48xf32>, %y: memref<?x48xf32>) {
  sq.packed_matmul ins(%x, %w : memref<?x9xf32>, memref<1x9x48xf32>) extras(%r : memref<?x48xf32>) outs(%y : memref<?x48xf32>) {
  ^bb0(%acc: f32, %e: f32):
    %f = math.erf %acc : f32
    %s = arith.addf %f, %e : f32
    sq.yield %s : f32
  }
  return
}

// -----

// Constants, comparisons and integers of the epilogue become vectors of the
// same length.
// CHECK-LABEL: @typed_epilogue
// AVX512-DAG: arith.constant dense<6.000000e+00> : vector<16xf32>
// AVX512: %[[C:.*]] = arith.cmpf ogt, %{{.*}}, %{{.*}} : vector<16xf32>
// AVX512: arith.select %[[C]], %{{.*}}, %{{.*}} : vector<16xi1>, vector<16xf32>
// V3: arith.select %{{.*}}, %{{.*}}, %{{.*}} : vector<8xi1>, vector<8xf32>
func.func @typed_epilogue(%x: memref<?x9xf32>, %w: memref<1x9x48xf32>, %y: memref<?x48xf32>) {
  sq.packed_matmul ins(%x, %w : memref<?x9xf32>, memref<1x9x48xf32>) outs(%y : memref<?x48xf32>) {
  ^bb0(%acc: f32):
    %six = arith.constant 6.0 : f32
    %c = arith.cmpf ogt, %acc, %six : f32
    %s = arith.select %c, %six, %acc : f32
    sq.yield %s : f32
  }
  return
}

// -----

// Leading dims are rows; a strided operand is copied first.
// CHECK-LABEL: @rank_3_strided
// CHECK-SAME: (%[[X:.*]]: memref<?x?x9xf32, strided<[?, 12, 1]>>
// CHECK: %[[COPY:.*]] = memref.alloc(%{{.*}}, %{{.*}}) : memref<?x?x9xf32>
// CHECK: sq.parallel "generic"
// CHECK: memref.load %[[X]]
// CHECK: memref.store %{{.*}}, %[[COPY]]
// CHECK: %[[ROWS:.*]] = memref.collapse_shape %[[COPY]] {{\[}}[0, 1], [2]] : memref<?x?x9xf32> into memref<?x9xf32>
// CHECK: sq.parallel "matmul"
// CHECK: memref.load %[[ROWS]]
func.func @rank_3_strided(%x: memref<?x?x9xf32, strided<[?, 12, 1]>>, %w: memref<1x9x48xf32>, %y: memref<?x?x48xf32>) {
  sq.packed_matmul ins(%x, %w : memref<?x?x9xf32, strided<[?, 12, 1]>>, memref<1x9x48xf32>) outs(%y : memref<?x?x48xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// Where 1600 steps of k of a panel are more than a twelfth of L2 (455 of 48 columns): four parts of 400. The first begins with
// zeros; sums wait in a buffer of each thread; the last adds what the rows have and goes through the epilogue.
// CHECK-LABEL: @parts_of_k
// AVX512-DAG: %[[LEN:.*]] = arith.constant 400 : index
// AVX512-DAG: %[[LAST:.*]] = arith.constant 1200 : index
// AVX512: %[[WAIT:.*]] = memref.alloc(%{{.*}}) : memref<?x{{.*}}x48xf32>
// AVX512: sq.parallel "matmul"
// AVX512: :24 = scf.for %{{.*}} = %{{.*}} to %[[LEN]]
// AVX512-NOT: arith.negf
// AVX512: vector.store %{{.*}}, %[[WAIT]]
// AVX512: scf.for %[[K0:.*]] = %[[LEN]] to %[[LAST]] step %[[LEN]]
// AVX512: vector.load %[[WAIT]]
// AVX512: :24 = scf.for %[[K:.*]] = %{{.*}} to %[[LEN]]
// AVX512: arith.addi %[[K0]], %[[K]]
// AVX512: vector.store %{{.*}}, %[[WAIT]]
// AVX512: vector.load %[[WAIT]]
// AVX512: :24 = scf.for
// AVX512: arith.negf
// AVX512-NOT: vector.store %{{.*}}, %[[WAIT]]
// AVX512: return
func.func @parts_of_k(%x: memref<?x1600xf32>, %w: memref<1x1600x48xf32>, %y: memref<?x48xf32>) {
  sq.packed_matmul ins(%x, %w : memref<?x1600xf32>, memref<1x1600x48xf32>) outs(%y : memref<?x48xf32>) {
  ^bb0(%acc: f32):
    %a = arith.negf %acc : f32
    sq.yield %a : f32
  }
  return
}
