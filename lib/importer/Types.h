/// ONNX element types and value types as MLIR types.
#ifndef SQ_LIB_IMPORTER_TYPES_H
#define SQ_LIB_IMPORTER_TYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Location.h"
#include "onnx/onnx_pb.h"

#include <optional>

namespace sq::importer {

/// What one `TensorProto.DataType` is.
struct ElementInfo {
  mlir::Type type;
  /// Bits of one element in ONNX's raw layout; 0 for strings, which have none.
  unsigned bits;
  /// ONNX's name, `float16`.
  llvm::StringRef name;
};

/// Nothing when `dataType` is not (or not known as) an element type.
std::optional<ElementInfo> elementInfo(int32_t dataType, mlir::MLIRContext *context);

/// Elements of a tensor with these dims. Nothing when a dim is negative or the tensor has more
/// than 2^63 - 1 bits even without its empty dims: later stages may then multiply freely.
std::optional<int64_t> numElements(llvm::ArrayRef<int64_t> dims, unsigned bits);

/// The MLIR type of a value; `!onnx.unknown` when `type` says nothing. Emits an error that calls
/// the value `what` at `loc` when a dim or element type is impossible.
mlir::FailureOr<mlir::Type> convertType(const ::onnx::TypeProto &type, mlir::Location loc,
                                        const llvm::Twine &what);

} // namespace sq::importer

#endif
