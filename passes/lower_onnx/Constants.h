/// The numbers of constant operands, for what is computed once and not by the program.
#ifndef SQ_PASSES_LOWER_ONNX_CONSTANTS_H
#define SQ_PASSES_LOWER_ONNX_CONSTANTS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// All bytes of a constant, a splat's too; none when it is not one.
std::optional<std::vector<char>> bytesOf(Lowering &l, Lowered *value);
/// Element i of the bytes of floats of 16 or 32 bits.
float floatAt(llvm::ArrayRef<char> bytes, mlir::Type type, int64_t i);

/// The elements of a constant of such floats, and of integers of at most 32 bits by their sign.
std::optional<std::vector<float>> floatsOf(Lowering &l, Lowered *value);
std::optional<std::vector<int64_t>> integersOf(Lowering &l, Lowered *value);

} // namespace sq

#endif
