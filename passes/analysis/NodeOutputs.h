/// What the nodes of an ONNX graph compute, by names that users know.
#ifndef SQ_PASSES_ANALYSIS_NODEOUTPUTS_H
#define SQ_PASSES_ANALYSIS_NODEOUTPUTS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

#include <string>
#include <vector>

namespace sq {

struct NodeOutput {
  mlir::Value value;
  std::string name; // of the node; ":1" for its second output, "#2" for the second of equal name
  std::string op;   // "MatMul", "com.microsoft.Attention"
};

/// "MatMul", "com.microsoft.Attention".
std::string operatorName(mlir::Operation *op);

/// The floating-point tensors that nodes of `main` compute, in its order. Not
/// those inside of If, Loop and Scan, whose values come and go, and no constants.
std::vector<NodeOutput> nodeOutputs(mlir::FunctionOpInterface main);

/// The ONNX nodes that an op was made of, outer ones first.
std::vector<std::string> nodeNames(mlir::Location loc);

/// An output that --sq-keep-intermediates adds is called this and the node's name.
inline constexpr char kNodePrefix[] = "node:";

} // namespace sq

#endif
