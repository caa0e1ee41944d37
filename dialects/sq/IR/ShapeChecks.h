/// What the verifiers of the dialect say about shapes.
#ifndef SQ_DIALECTS_SQ_IR_SHAPECHECKS_H
#define SQ_DIALECTS_SQ_IR_SHAPECHECKS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace sq {

/// True unless both are static and differ.
inline bool dimsAgree(int64_t a, int64_t b) {
  return a == b || mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b);
}

inline bool shapesAgree(mlir::ShapedType a, mlir::ShapedType b) {
  return a.getRank() == b.getRank() &&
         llvm::all_of(llvm::zip(a.getShape(), b.getShape()), [](auto p) {
           return dimsAgree(std::get<0>(p), std::get<1>(p));
         });
}

inline mlir::ShapedType shaped(mlir::Value v) {
  return mlir::cast<mlir::ShapedType>(v.getType());
}

} // namespace sq

#endif
