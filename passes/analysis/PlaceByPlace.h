/// Whether a program computes each place of its sequences by itself.
#ifndef SQ_PASSES_ANALYSIS_PLACEBYPLACE_H
#define SQ_PASSES_ANALYSIS_PLACEBYPLACE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/analysis/SymbolicSize.h"

#include <string>

namespace sq {

/// "" when, `sq.attention` aside, every tensor of `func` (at graph level) that
/// has a dim of `places` is computed at place s from what others are at place
/// s, in the same way for all s; else what is not so. Then a part of the places
/// can be computed alone, wherever it begins.
std::string mixesPlaces(mlir::func::FuncOp func, SymbolicSizes &sizes,
                        const SymbolicSize &places);

} // namespace sq

#endif
