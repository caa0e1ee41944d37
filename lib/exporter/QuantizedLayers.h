/// What `sq-quantize` made of the linear layers of a graph, in the terms of the ONNX model.
#ifndef SQ_LIB_EXPORTER_QUANTIZEDLAYERS_H
#define SQ_LIB_EXPORTER_QUANTIZEDLAYERS_H

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace sq {

struct QuantizedLayer {
  std::vector<std::string> nodes; ///< those that it was made of: a product, and what adds its bias
  float scale = 1;                ///< of the activation, stored as uint8
  uint8_t zero = 0;
  std::vector<float> factors; ///< of its k channels, before it is quantised; empty: none
  int64_t k = 0, n = 0;
  int bits = 8;              ///< of the weight, whose values are -2^(bits - 1) + 1 to 2^(bits - 1) - 1
  std::vector<char> weight;  ///< int8 [k, n]
  std::vector<float> scales; ///< of its columns
  std::vector<float> bias;   ///< [n], all there is to add
};

/// A table of embeddings.
struct QuantizedTable {
  std::vector<std::string> nodes; ///< of what reads it, and other tables of the same sum, in their order
  int64_t rows = 0, columns = 0;
  std::vector<char> stored;  ///< int8 [rows, columns]
  std::vector<float> scales; ///< of its rows
};

/// The tables that `sq-quantize` quantised.
std::vector<QuantizedTable> quantizedTables(mlir::ModuleOp graph);

/// The layers of `graph` that `sq-quantize` quantised, in their order.
std::vector<QuantizedLayer> quantizedLayers(mlir::ModuleOp graph);

} // namespace sq

#endif
