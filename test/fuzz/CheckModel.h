/// What must hold of any bytes given to sq as a model.
#ifndef SQ_TEST_FUZZ_CHECKMODEL_H
#define SQ_TEST_FUZZ_CHECKMODEL_H

#include "mlir/IR/DialectRegistry.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace sq::test {

/// Imports and normalises (`sq-onnx-to-graph`) a binary model. Empty when it is either refused
/// with an error or becomes IR that verifies; otherwise what is wrong. `error` is the first one.
std::string checkModel(llvm::StringRef bytes, const mlir::DialectRegistry &registry,
                       std::string *error = nullptr);

} // namespace sq::test

#endif
