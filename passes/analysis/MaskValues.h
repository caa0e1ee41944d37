/// Which numbers a mask can hold.
#ifndef SQ_PASSES_ANALYSIS_MASKVALUES_H
#define SQ_PASSES_ANALYSIS_MASKVALUES_H

#include "mlir/IR/Value.h"

#include <optional>

namespace sq {

/// What an additive mask of attention means when it either leaves a score as it is or hides it.
struct BooleanMask {
  bool hides;      // anything at all
  bool isUniform;  // what it hides is finite: a query that sees nothing sees all alike
  mlir::Value assumed; // an input of integers that is taken to hold 0 and 1; null: none
};
/// Of what depends on booleans, constants and at most one input of integers, by way of reshapes and elementwise loops, as masks
/// do. None when `mask` may hold anything but 0 and -9990 or less (-inf included).
std::optional<BooleanMask> booleanMask(mlir::Value mask);

} // namespace sq

#endif
