/// The tensors of a program at graph level whose ranges calibration gathers.
#ifndef SQ_PASSES_ANALYSIS_OBSERVEDVALUES_H
#define SQ_PASSES_ANALYSIS_OBSERVEDVALUES_H

#include "mlir/Interfaces/FunctionInterfaces.h"

#include <string>
#include <vector>

namespace sq {

struct ObservedValue {
  mlir::Value value; // an argument of @main or a result of an op in its block
  /// The input's name, or that of the first ONNX node the op was made of; "#2" for the second of
  /// equal name in program order.
  std::string name;
  /// The last dim when it is static and at most kMaxChannels, else 0. Where readers see heads and
  /// their elements as one dim (`tensor.collapse_shape` behind attention), that one: the input
  /// channels of the linear layer.
  int64_t channels = 0;
  /// Whether linear layers read it, rows of `channels` elements.
  bool feedsLinear = false;
};

/// Beyond that (vocabularies) nothing is quantised per channel of an activation.
inline constexpr int64_t kMaxChannels = 65536;

/// The float tensors of `main` after --sq-onnx-to-graph for which ranges are of use: arguments,
/// results of `sq` ops, matrix products and convolutions, all that these read (concatenations,
/// slices, ...) or that is returned, and the elementwise and transposing linalg ops behind them. In
/// program order, arguments first; not inside loops, no constants.
///
/// Left out are masks: what is only added to scores in front of a softmax, and the masked scores,
/// as they hold -inf or as good as that, and integer attention takes no range of them.
///
/// The same model gives the same names, whoever asks: sq-calibrate when it gathers, the
/// quantisation passes when they look up.
std::vector<ObservedValue> observedValues(mlir::FunctionOpInterface main);

/// What an op reads, before changes of its shape: the value under which ranges of an operand are found.
mlir::Value throughReshapes(mlir::Value v);

/// A result that --sq-observe adds is called this and the observed value's name.
inline constexpr char kObservedPrefix[] = "observed:";

} // namespace sq

#endif
