// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: sq-opt %s --sq-lower-kernels=level=x86-64-v3 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,V3

// A block of two vectors of queries is scaled and transposed; the scores are a
// contraction over d, softmax runs down the keys with a running maximum and
// sum, the values are a contraction over the keys. The scratch memory is per
// thread, D + T rows of a block.
// CHECK-LABEL: @plain
// CHECK-SAME: (%[[Q:.*]]: memref<?x?x2x32xf32>, %[[K:.*]]: memref<?x?x2x32xf32>, %[[V:.*]]: memref<?x?x2x32xf32>, %[[O:.*]]: memref<?x?x2x32xf32>)
// CHECK-DAG: %[[SCALE:.*]] = arith.constant 2.500000e-01 : f32
// CHECK-NOT: sq.attention
// CHECK: %[[KEYS:.*]] = memref.dim %[[K]], %c1
// CHECK: %[[ROWS:.*]] = arith.addi %[[KEYS]], %c32
// CHECK: %[[THREADS:.*]] = sq.threads : index
// AVX512: %[[SCRATCH:.*]] = memref.alloc(%[[THREADS]], %[[ROWS]]) : memref<?x?x32xf32>
// V3: %[[SCRATCH:.*]] = memref.alloc(%[[THREADS]], %[[ROWS]]) : memref<?x?x16xf32>
// CHECK: sq.parallel "attention" %{{.*}}, %{{.*}} : index {
// CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[THREAD:.*]]: index):
// The queries.
// CHECK: %[[QE:.*]] = memref.load %[[Q]][
// CHECK: %[[QS:.*]] = arith.mulf %[[QE]], %[[SCALE]]
// CHECK: memref.store %[[QS]], %[[SCRATCH]][%[[THREAD]],
// The scores: 8 or 6 keys by two vectors.
// AVX512: :16 = scf.for %{{.*}} = %c0 to %c32
// V3: :12 = scf.for %{{.*}} = %c0 to %c32
// CHECK: vector.load %[[SCRATCH]][%[[THREAD]],
// CHECK: memref.load %[[K]][
// AVX512-COUNT-16: vector.fma {{.*}} : vector<16xf32>
// V3-COUNT-12: vector.fma {{.*}} : vector<8xf32>
// CHECK-NOT: vector.fma
// CHECK: vector.store %{{.*}}, %[[SCRATCH]][%[[THREAD]],
// Softmax.
// CHECK: %[[MOST:.*]]:2 = scf.for %{{.*}} = %c0 to %[[KEYS]]
// CHECK-COUNT-2: arith.maximumf
// CHECK: %[[SUM:.*]]:2 = scf.for %{{.*}} = %c0 to %[[KEYS]]
// CHECK: %[[D:.*]] = arith.subf %{{.*}}, %[[MOST]]#0
// CHECK: %[[E:.*]] = math.exp %[[D]]
// CHECK: vector.store %[[E]], %[[SCRATCH]]
// CHECK: %[[INVERSE:.*]] = arith.divf %{{.*}}, %[[SUM]]#0
// The values.
// AVX512: :16 = scf.for %{{.*}} = %c0 to %[[KEYS]]
// V3: :12 = scf.for %{{.*}} = %c0 to %[[KEYS]]
// CHECK: memref.load %[[V]][
// CHECK: vector.fma
// CHECK: arith.mulf %{{.*}}, %[[INVERSE]]
// CHECK: memref.store %{{.*}}, %[[O]][
// CHECK: return
func.func @plain(%q: memref<?x?x2x32xf32>, %k: memref<?x?x2x32xf32>, %v: memref<?x?x2x32xf32>, %o: memref<?x?x2x32xf32>) {
  sq.attention ins(%q, %k, %v : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 0.25 : f32}
  return
}

// -----

// A mask of the keys is one broadcast scalar per score row.
// CHECK-LABEL: @key_mask
// CHECK-SAME: %[[M:[^ ]*]]: memref<?x1x1x?xf32>
// CHECK-NOT: memref.load %[[M]]
// CHECK: vector.fma
// CHECK: %[[E:.*]] = memref.load %[[M]][%{{.*}}, %c0, %c0, %{{.*}}]
// CHECK: %[[B:.*]] = vector.broadcast %[[E]]
// CHECK: arith.addf %{{.*}}, %[[B]]
func.func @key_mask(%q: memref<?x?x2x32xf32>, %m: memref<?x1x1x?xf32>, %o: memref<?x?x2x32xf32>) {
  sq.attention ins(%q, %q, %q : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) mask(%m : memref<?x1x1x?xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 1.0 : f32}
  return
}

// -----

// A mask per query is transposed into T more rows of the scratch memory, once
// for the four heads of a task when they share it. 12 heads are 3 tasks.
// CHECK-LABEL: @query_mask
// CHECK-SAME: %[[M:[^ ]*]]: memref<1x1x?x?xf32>
// CHECK: %[[KEYS:.*]] = memref.dim %{{.*}}, %c1
// CHECK: %[[R:.*]] = arith.addi %[[KEYS]], %c32
// CHECK: %[[ROWS:.*]] = arith.addi %[[R]], %[[KEYS]]
// CHECK: %[[S:.*]] = memref.alloc(%{{.*}}, %[[ROWS]])
// CHECK: sq.parallel "attention"
// CHECK: memref.load %[[M]][%c0, %c0, %{{.*}}, %{{.*}}]
// CHECK: %[[HEAD1:.*]] = arith.addi %[[HEAD0:.*]], %c4
// CHECK: scf.for %{{.*}} = %[[HEAD0]] to %[[HEAD1]]
// CHECK-NOT: memref.load %[[M]]
// CHECK: return
func.func @query_mask(%q: memref<?x?x12x32xf32>, %m: memref<1x1x?x?xf32>, %o: memref<?x?x12x32xf32>) {
  sq.attention ins(%q, %q, %q : memref<?x?x12x32xf32>, memref<?x?x12x32xf32>, memref<?x?x12x32xf32>) mask(%m : memref<1x1x?x?xf32>) outs(%o : memref<?x?x12x32xf32>) {scale = 1.0 : f32}
  return
}

// -----

// A mask per head and query is transposed for each head; the two heads are
// one task.
// CHECK-LABEL: @head_mask
// CHECK-SAME: %[[M:[^ ]*]]: memref<?x2x?x?xf32>
// CHECK: scf.for %[[H:.*]] = %c0 to %c2
// CHECK: memref.load %[[M]][%{{.*}}, %[[H]], %{{.*}}, %{{.*}}]
func.func @head_mask(%q: memref<?x?x2x32xf32>, %m: memref<?x2x?x?xf32>, %o: memref<?x?x2x32xf32>) {
  sq.attention ins(%q, %q, %q : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) mask(%m : memref<?x2x?x?xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 1.0 : f32}
  return
}
