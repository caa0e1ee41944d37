/// Writing a model's quantisation as QONNX, for FPGA flows (qonnx, FINN,
/// hls4ml).
#ifndef SQ_LIB_EXPORTER_QONNXMODEL_H
#define SQ_LIB_EXPORTER_QONNXMODEL_H

#include "lib/exporter/QuantizedLayers.h"
#include "sq/compiler.h"

#include <map>

namespace sq {

/// The ONNX model at `path` with a Quant node (domain qonnx.custom_op.general,
/// version 1) at each activation that `layers` quantises, of 8 bits with the
/// scale and zero point of sq, and at each weight, of the layer's bits, signed
/// and narrow, with a scale for each column ([1, n]); the corrected bias stays
/// in float. Tables are of 8 bits with a scale for each row. Otherwise as
/// exportQdq. A Quant rounds behind its zero point: where that is odd, an
/// activation half-way between two steps goes to the other one than in sq's own
/// program, and sums near such ties may as well.
mlir::FailureOr<std::string>
exportQonnx(llvm::StringRef path, llvm::ArrayRef<QuantizedLayer> layers,
            llvm::ArrayRef<QuantizedTable> tables,
            const std::map<std::string, DimRange> &shapes,
            mlir::MLIRContext &context);

} // namespace sq

#endif
