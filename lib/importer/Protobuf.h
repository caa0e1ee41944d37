/// Bytes and text as ONNX messages, with errors that say where.
#ifndef SQ_LIB_IMPORTER_PROTOBUF_H
#define SQ_LIB_IMPORTER_PROTOBUF_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "onnx/onnx_pb.h"

#include <memory>

namespace sq::importer {

/// A place in the file `name`.
mlir::Location fileLocation(llvm::StringRef name, mlir::MLIRContext *context, unsigned line = 0,
                            unsigned column = 0);

/// A serialized model; nothing but its encoding is checked.
mlir::FailureOr<std::unique_ptr<::onnx::ModelProto>> parseProtobuf(llvm::StringRef bytes, mlir::Location loc);

/// The text syntax of onnx's parser; `name` is the file's, for messages.
mlir::FailureOr<std::unique_ptr<::onnx::ModelProto>> parseText(llvm::StringRef text, llvm::StringRef name,
                                                               mlir::Location loc);

} // namespace sq::importer

#endif
