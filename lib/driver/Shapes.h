/// Ranges of a model's symbolic dims, as users give them.
#ifndef SQ_LIB_DRIVER_SHAPES_H
#define SQ_LIB_DRIVER_SHAPES_H

#include "llvm/ADT/StringRef.h"
#include "mlir/IR/BuiltinOps.h"

#include "sq/compiler.h"

namespace sq {

using DimRanges = std::map<std::string, DimRange>;

/// Adds NAME=LO..HI or NAME=N to `ranges`; empty on success, else what is wrong.
std::string parseShape(llvm::StringRef text, DimRanges &ranges);

/// Sets the module's `sq.dims` to `ranges`. Fails with an error that names the
/// model's symbols when an input has no such dim.
mlir::LogicalResult applyShapes(mlir::ModuleOp module, const DimRanges &ranges);

} // namespace sq

#endif
