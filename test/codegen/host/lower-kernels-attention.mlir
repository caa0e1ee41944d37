// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: sq-opt %s --sq-lower-kernels=level=x86-64-v3 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,V3

// Queries are scaled and transposed in registers; the scores are a contraction
// over d, softmax runs down a tile of 64 keys against the running maximum and
// sum, the values are a contraction over the keys that goes on from the result
// so far. There is code for blocks of 1, 2 and (AVX-512) 4 vectors of queries;
// the scratch memory does not depend on the number of keys.
// CHECK-LABEL: @plain
// CHECK-SAME: (%[[Q:.*]]: memref<?x?x2x32xf32>, %[[K:.*]]: memref<?x?x2x32xf32>, %[[V:.*]]: memref<?x?x2x32xf32>, %[[O:.*]]: memref<?x?x2x32xf32>)
// AVX512-DAG: %[[SCALE:.*]] = arith.constant dense<2.500000e-01> : vector<16xf32>
// V3-DAG: %[[SCALE:.*]] = arith.constant dense<2.500000e-01> : vector<8xf32>
// CHECK-NOT: sq.attention
// CHECK: %[[KEYS:.*]] = memref.dim %[[K]], %c1
// CHECK: %[[THREADS:.*]] = sq.threads : index
// AVX512: %[[SCRATCH:.*]] = memref.alloc(%[[THREADS]]) : memref<?x136x64xf32>
// V3: %[[SCRATCH:.*]] = memref.alloc(%[[THREADS]]) : memref<?x160x16xf32>
// CHECK: sq.parallel "attention" %{{.*}}, %{{.*}} : index
// CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[THREAD:.*]]: index):
// CHECK: scf.index_switch
// CHECK-NEXT: case 0
// The queries.
// CHECK: %[[QE:.*]] = vector.load %[[Q]][
// CHECK: arith.mulf %[[QE]], %[[SCALE]]
// AVX512-COUNT-64: vector.shuffle
// V3-COUNT-24: vector.shuffle
// CHECK-NOT: vector.shuffle
// CHECK: vector.store %{{.*}}, %[[SCRATCH]][%[[THREAD]],
// A tile of keys, with the maximum and the sum of all before.
// CHECK: scf.for %{{.*}} = %c0 to %[[KEYS]] step %c64 iter_args(%[[M:.*]] = %{{.*}}, %[[L:.*]] = %{{.*}})
// CHECK: %[[COUNT:.*]] = arith.minui
// CHECK: :12 = scf.for %{{.*}} = %c0 to %c32
// CHECK: vector.load %[[SCRATCH]][%[[THREAD]],
// CHECK: memref.load %[[K]][
// CHECK-COUNT-12: vector.fma
// CHECK: %[[MOST:.*]] = scf.for %{{.*}} = %c0 to %[[COUNT]] step %c1 iter_args(%{{.*}} = %[[M]])
// CHECK: arith.cmpf ogt
// No key so far: exp(-inf - 0) is 0.
// CHECK: %[[NONE:.*]] = arith.cmpf oeq, %[[MOST]],
// CHECK: %[[SHIFT:.*]] = arith.select %[[NONE]], %{{.*}}, %[[MOST]]
// CHECK: %[[WORTH:.*]] = math.exp
// CHECK: %[[BEFORE:.*]] = arith.mulf %[[L]], %[[WORTH]]
// CHECK: %[[SUM:.*]] = scf.for %{{.*}} = %c0 to %[[COUNT]] step %c1 iter_args(%{{.*}} = %[[BEFORE]])
// CHECK: arith.subf %{{.*}}, %[[SHIFT]]
// CHECK: math.exp
// The values.
// CHECK: arith.mulf %{{.*}}, %[[WORTH]]
// CHECK: :12 = scf.for %{{.*}} = %c0 to %[[COUNT]]
// CHECK: memref.load %[[V]][
// CHECK: vector.fma
// CHECK: scf.yield %[[MOST]], %[[SUM]]
// CHECK: arith.divf
// CHECK: vector.shuffle
// CHECK: vector.store %{{.*}}, %[[O]][
// CHECK: case 1
// CHECK: default
// AVX512: :24 = scf.for
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

// A mask per query is transposed like the queries, a tile of keys at a time;
// what lies behind the last key is not read.
// CHECK-LABEL: @query_mask
// CHECK-SAME: %[[M:[^ ]*]]: memref<1x1x?x?xf32>
// CHECK: %[[KEYS:.*]] = memref.dim %{{.*}}, %c1
// AVX512: %[[S:.*]] = memref.alloc(%{{.*}}) : memref<?x200x64xf32>
// V3: %[[S:.*]] = memref.alloc(%{{.*}}) : memref<?x224x16xf32>
// CHECK: sq.parallel "attention"
// CHECK: scf.index_switch
// CHECK: vector.maskedload %[[M]][%c0, %c0, %{{.*}}, %{{.*}}], %{{.*}}
// CHECK: return
func.func @query_mask(%q: memref<?x?x12x32xf32>, %m: memref<1x1x?x?xf32>, %o: memref<?x?x12x32xf32>) {
  sq.attention ins(%q, %q, %q : memref<?x?x12x32xf32>, memref<?x?x12x32xf32>, memref<?x?x12x32xf32>) mask(%m : memref<1x1x?x?xf32>) outs(%o : memref<?x?x12x32xf32>) {scale = 1.0 : f32}
  return
}

// -----

// A mask per head and query.
// CHECK-LABEL: @head_mask
// CHECK-SAME: %[[M:[^ ]*]]: memref<?x2x?x?xf32>
// CHECK: %[[HEAD:.*]] = arith.remui %{{.*}}, %c2
// CHECK: vector.maskedload %[[M]][%{{.*}}, %[[HEAD]], %{{.*}}, %{{.*}}]
func.func @head_mask(%q: memref<?x?x2x32xf32>, %m: memref<?x2x?x?xf32>, %o: memref<?x?x2x32xf32>) {
  sq.attention ins(%q, %q, %q : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) mask(%m : memref<?x2x?x?xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 1.0 : f32}
  return
}

// -----

// Causal: the tiles of keys end with the last one that a query of the block sees,
// and in each a query's score is -inf for keys behind its own place.
// CHECK-LABEL: @causal
// CHECK-SAME: (%[[Q:[a-z0-9]*]]: memref<?x?x2x32xf32>, %[[K:[a-z0-9]*]]: memref<?x?x2x32xf32>
// CHECK-DAG: %[[HIDDEN:.*]] = arith.constant dense<0xFF800000>
// CHECK-DAG: %[[S:.*]] = memref.dim %[[Q]], %c1
// CHECK-DAG: %[[T:.*]] = memref.dim %[[K]], %c1
// CHECK: %[[PAST:.*]] = arith.subi %[[T]], %[[S]]
// CHECK: %[[LAST:.*]] = arith.addi %{{.*}}, %[[PAST]] : index
// CHECK: %[[END:.*]] = arith.addi %[[LAST]], %c1
// CHECK: %[[SEEN:.*]] = arith.minsi %[[T]], %[[END]]
// CHECK: scf.for %{{.*}} = %c0 to %[[SEEN]] step %c64
// CHECK: %[[VISIBLE:.*]] = arith.cmpi sge, %{{.*}}, %{{.*}} : vector
// CHECK: arith.select %[[VISIBLE]], %{{.*}}, %[[HIDDEN]]
func.func @causal(%q: memref<?x?x2x32xf32>, %kv: memref<?x?x2x32xf32>, %o: memref<?x?x2x32xf32>) {
  sq.attention ins(%q, %kv, %kv : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 1.0 : f32, causal}
  return
}

// -----

// Four heads share the keys of one: their queries are lanes of the same block,
// place j / 4 and head 4 h + j mod 4.
// CHECK-LABEL: @grouped
// CHECK-SAME: (%[[Q:[a-z0-9]*]]: memref<?x?x8x32xf32>, %[[K:[a-z0-9]*]]: memref<?x?x2x32xf32>
// CHECK: %[[S:.*]] = memref.dim %[[Q]], %c1
// CHECK: arith.muli %[[S]], %c4
// CHECK: %[[PLACE:.*]] = arith.divui %{{.*}}, %c4
// CHECK: %[[BASE:.*]] = arith.muli %{{.*}}, %c4
// CHECK: %[[REST:.*]] = arith.remui %{{.*}}, %c4
// CHECK: %[[HEAD:.*]] = arith.addi %[[BASE]], %[[REST]]
// CHECK: vector.load %[[Q]][%{{.*}}, %[[PLACE]], %[[HEAD]], %{{.*}}]
func.func @grouped(%q: memref<?x?x8x32xf32>, %kv: memref<?x?x2x32xf32>, %o: memref<?x?x8x32xf32>) {
  sq.attention ins(%q, %kv, %kv : memref<?x?x8x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) outs(%o : memref<?x?x8x32xf32>) {scale = 1.0 : f32}
  return
}
