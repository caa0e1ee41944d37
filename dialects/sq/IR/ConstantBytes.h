/// The elements of a constant as they lie in memory, without a copy where that can be.
#ifndef SQ_DIALECTS_SQ_IR_CONSTANTBYTES_H
#define SQ_DIALECTS_SQ_IR_CONSTANTBYTES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

namespace sq {

/// Elements of whole bytes, row-major without padding. Valid as long as the attribute, and this object.
struct ConstantBytes {
  llvm::ArrayRef<char> bytes;
  llvm::SmallVector<char, 0> storage; // of a splat

  template <typename T> llvm::ArrayRef<T> as() const {
    return {reinterpret_cast<const T *>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

/// None when `value` is no constant, or one whose bytes are not known.
std::optional<ConstantBytes> constantBytes(mlir::Value value);

/// The f32 that the bits of an f16 stand for.
inline float halfToFloat(uint16_t bits) {
  _Float16 half;
  __builtin_memcpy(&half, &bits, sizeof(half));
  return static_cast<float>(half);
}

} // namespace sq

#endif
