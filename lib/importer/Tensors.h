/// Tensors of a model as MLIR attributes.
#ifndef SQ_LIB_IMPORTER_TENSORS_H
#define SQ_LIB_IMPORTER_TENSORS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "onnx/onnx_pb.h"

#include "lib/importer/ExternalData.h"

namespace sq::importer {

/// Larger tensors become resources, which refer to their bytes; smaller ones, which folders look
/// at, are copied into the context.
constexpr int64_t kLargestDenseBytes = 1024;

/// Checks everything about a tensor: element type, dims, that exactly one field holds data, that
/// its size is what dtype and shape need, that external data is where it says. Errors are at
/// `loc` and begin with `what`. After it `convertTensor` fails only for want of memory.
mlir::LogicalResult checkTensor(const ::onnx::TensorProto &tensor, mlir::Location loc,
                                const llvm::Twine &what, ExternalFiles &files);

/// Brings external data of at most `largest` bytes into the message: onnx's shape inference
/// reads shapes and axes, and only inline. The tensor must have passed `checkTensor`.
mlir::LogicalResult inlineExternal(::onnx::TensorProto &tensor, mlir::Location loc, const llvm::Twine &what,
                                   ExternalFiles &files, int64_t largest = kLargestDenseBytes);

/// The tensor's value: DenseElementsAttr up to `kLargestDenseBytes` and for strings, else a
/// DenseResourceElementsAttr. Inline data moves out of `tensor` into the resource's ownership.
mlir::FailureOr<mlir::ElementsAttr> convertTensor(::onnx::TensorProto &tensor, mlir::Location loc,
                                                  const llvm::Twine &what, ExternalFiles &files);

/// Checks a sparse tensor: values and indices as above, indices inside the shape.
mlir::LogicalResult checkSparseTensor(const ::onnx::SparseTensorProto &tensor, mlir::Location loc,
                                      const llvm::Twine &what, ExternalFiles &files);

/// The value of a sparse tensor as a SparseElementsAttr of the dense type.
mlir::FailureOr<mlir::ElementsAttr> convertSparseTensor(::onnx::SparseTensorProto &tensor,
                                                        mlir::Location loc,
                                                        const llvm::Twine &what,
                                                        ExternalFiles &files);

} // namespace sq::importer

#endif
