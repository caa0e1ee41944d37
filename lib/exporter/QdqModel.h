/// Writing a model's quantisation back as standard ONNX.
#ifndef SQ_LIB_EXPORTER_QDQMODEL_H
#define SQ_LIB_EXPORTER_QDQMODEL_H

#include "lib/exporter/QuantizedLayers.h"
#include "sq/compiler.h"

#include <map>

namespace sq {

/// The ONNX model at `path` with the layers that `layers` names quantised:
/// QuantizeLinear and DequantizeLinear (uint8, after a Mul where channels have
/// factors) before the product, DequantizeLinear of an int8 weight with a scale
/// for each column, and the corrected bias. All data is inside. A layer whose
/// nodes it does not find as MatMul or Gemm stays as it was, with a warning,
/// and so does a table that no Gather of rows reads; others are int8 with a
/// scale for each row. Dims of inputs and outputs that `shapes` gives one size
/// are that. Other failures are errors on the context.
mlir::FailureOr<std::string>
exportQdq(llvm::StringRef path, llvm::ArrayRef<QuantizedLayer> layers,
          llvm::ArrayRef<QuantizedTable> tables,
          const std::map<std::string, DimRange> &shapes,
          mlir::MLIRContext &context);

} // namespace sq

#endif
