// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected | FileCheck %s

// Outputs 0 and 2 count the numbers 5 and (6, 7); nothing is counted at 1.
// CHECK-LABEL: func.func @main
// CHECK-DAG: arith.constant dense<[1, 0, 2]> : tensor<3xi64>
// CHECK-DAG: arith.constant dense<{{\[\[}}5, 0], [0, 0], [6, 7]]> : tensor<3x2xi64>
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
func.func @main(%x: tensor<2x?xi64>) -> tensor<2x3xf32> {
  %y = onnx.Custom "ai.onnx" "TfIdfVectorizer"(%x) attributes {attributes = {mode = "TF", min_gram_length = 1 : i64, max_gram_length = 2 : i64, max_skip_count = 1 : i64, ngram_counts = array<i64: 0, 1>, ngram_indexes = array<i64: 0, 2>, pool_int64s = array<i64: 5, 6, 7>}, opset = 9 : i64} : (tensor<2x?xi64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

func.func @main(%x: tensor<4xi64>) -> (tensor<3xf32>, tensor<3xf32>) {
  // expected-error @below {{cannot lower ai.onnx.TfIdfVectorizer (opset 9): ngram_counts do not divide the pool into n-grams (node 'Custom')}}
  %y = onnx.Custom "ai.onnx" "TfIdfVectorizer"(%x) attributes {attributes = {mode = "TF", min_gram_length = 1 : i64, max_gram_length = 2 : i64, max_skip_count = 0 : i64, ngram_counts = array<i64: 0, 2>, ngram_indexes = array<i64: 0, 2>, pool_int64s = array<i64: 5, 6, 7>}, opset = 9 : i64} : (tensor<4xi64>) -> tensor<3xf32>
  // expected-error @below {{cannot lower ai.onnx.TfIdfVectorizer (opset 9): n-grams of strings are not supported (node 'Custom')}}
  %z = onnx.Custom "ai.onnx" "TfIdfVectorizer"(%x) attributes {attributes = {mode = "TF", pool_strings = ["a"]}, opset = 9 : i64} : (tensor<4xi64>) -> tensor<3xf32>
  return %y, %z : tensor<3xf32>, tensor<3xf32>
}
