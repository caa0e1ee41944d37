#include "mlir/IR/Diagnostics.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Importer.h"
#include "lib/importer/Messages.h"

#include <map>
#include <tuple>

using namespace mlir;

LogicalResult sq::reportUnsupportedOps(ModuleOp module) {
  using Key = std::tuple<StringRef, StringRef, int64_t>;
  struct Uses {
    Location first;
    unsigned count = 0;
  };
  std::map<Key, Uses> operators; // ordered: the message must not depend on addresses
  module.walk([&](onnx::CustomOp op) {
    Key key{op.getDomain(), op.getOpType(), op.getOpset()};
    ++operators.try_emplace(key, Uses{op.getLoc()}).first->second.count;
  });
  if (operators.empty())
    return success();
  InFlightDiagnostic error = emitError(module.getLoc())
                             << operators.size()
                             << (operators.size() == 1 ? " operator is" : " operators are")
                             << " not supported; replace or remove the nodes";
  for (const auto &[key, uses] : operators) {
    const auto &[domain, type, opset] = key;
    error.attachNote(uses.first)
        << importer::quoted(type) << " of domain " << importer::quoted(domain) << ", opset "
        << opset << ": " << uses.count << (uses.count == 1 ? " node" : " nodes, this one first");
  }
  return error;
}
