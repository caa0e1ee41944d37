/// Interfaces of ops.
#ifndef SQ_DIALECTS_SQ_IR_SQINTERFACES_H
#define SQ_DIALECTS_SQ_IR_SQINTERFACES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OpDefinition.h"

namespace sq {

/// Where a vector-Jacobian product leaves what it computes.
class Gradients {
public:
  virtual ~Gradients() = default;
  /// Whether the gradient with respect to `v` is of use: `v` depends on what is
  /// differentiated by.
  virtual bool needs(mlir::Value v) const = 0;
  /// Adds `gradient`, of the type of `v`, to the gradient with respect to `v`.
  /// What is not needed is dropped.
  virtual void add(mlir::Value v, mlir::Value gradient) = 0;
};

} // namespace sq

#include "dialects/sq/IR/SqInterfaces.h.inc"

#endif
