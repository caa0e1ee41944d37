/// Tensors of test data: NumPy and ONNX files.
#ifndef SQ_TEST_SUPPORT_TENSORFILES_H
#define SQ_TEST_SUPPORT_TENSORFILES_H

#include "lib/numerics/Tensor.h"

#include "llvm/Support/Error.h"

#include <string>

namespace sq::test {

/// A serialized onnx.TensorProto, the format of the ONNX node tests. Fails for
/// strings and other types that the oracle does not have, and for sequences.
llvm::Expected<numerics::Tensor> readTensorProto(const std::string &path);

llvm::Expected<numerics::Tensor> readNpy(const std::string &path);
/// Writes every value in double, or in the integer type that it has.
llvm::Error writeNpy(const std::string &path, const numerics::Tensor &tensor);

} // namespace sq::test

#endif
