// RUN: sq-opt %s --sq-fuse-rotary --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-fuse-rotary --sq-fuse-rotary --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @cached(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x?x4x64xf32>, %[[K:[^:]*]]: tensor<?x?x2x64xf32>, %[[N:[^:]*]]: tensor<?xi64>, %[[C:[^:]*]]: tensor<1x?x32xf32>, %[[S:[^:]*]]: tensor<1x?x32xf32>, %[[CACHE:[^:]*]]: tensor
// CHECK-NOT: sq.rotary_embedding
// CHECK: %[[ALL:.*]] = sq.kv_append ins(%[[K]], %[[N]] : {{.*}}) rotary(%[[C]], %[[S]] : tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%[[CACHE]] :
// CHECK: sq.kv_attend ins(%[[Q]], %[[ALL]], %[[ALL]], %[[N]] : {{.*}}) rotary(%[[C]], %[[S]] :
func.func @cached(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<1x?x32xf32>, %s: tensor<1x?x32xf32>, %cache: tensor<?x?x2x64xf32>, %y: tensor<?x?x4x64xf32>, %e: tensor<?x?x2x64xf32>) -> tensor<?x?x4x64xf32> {
  %qr = sq.rotary_embedding ins(%q, %c, %s : tensor<?x?x4x64xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%y : tensor<?x?x4x64xf32>) -> tensor<?x?x4x64xf32>
  %kr = sq.rotary_embedding ins(%k, %c, %s : tensor<?x?x2x64xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%e : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  %a = sq.kv_append ins(%kr, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%cache : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  %o = sq.kv_attend ins(%qr, %a, %a, %n : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%y : tensor<?x?x4x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x4x64xf32>
  return %o : tensor<?x?x4x64xf32>
}

// -----

// Pairs of neighbours, and what somebody else reads, stay.
// CHECK-LABEL: func.func @stays(
// CHECK: %[[A:.*]] = sq.rotary_embedding {{.*}} {interleaved}
// CHECK: sq.kv_append ins(%[[A]], %{{.*}} : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(
// CHECK: %[[B:.*]] = sq.rotary_embedding
// CHECK: sq.kv_append ins(%[[B]], %{{.*}} : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(
func.func @stays(%k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<1x?x32xf32>, %first: tensor<?x?x2x64xf32>, %second: tensor<?x?x2x64xf32>, %e: tensor<?x?x2x64xf32>) -> (tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>) {
  %a = sq.rotary_embedding ins(%k, %c, %c : tensor<?x?x2x64xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%e : tensor<?x?x2x64xf32>) {interleaved} -> tensor<?x?x2x64xf32>
  %0 = sq.kv_append ins(%a, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%first : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  %b = sq.rotary_embedding ins(%k, %c, %c : tensor<?x?x2x64xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%e : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  %1 = sq.kv_append ins(%b, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%second : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  return %0, %1, %b : tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>
}
