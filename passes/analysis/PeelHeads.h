/// What lies below the queries, keys and values of an attention that is spelled out.
#ifndef SQ_PASSES_ANALYSIS_PEELHEADS_H
#define SQ_PASSES_ANALYSIS_PEELHEADS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace sq {

/// What lies below transpositions, constant factors and repeated heads.
struct PeeledHeads {
  mlir::Value source;
  /// Dim i of the value is dim permutation[i] of source.
  llvm::SmallVector<int64_t> permutation = {0, 1, 2, 3};
  double scale = 1.0;
  /// Each element of dim `repeatedDim` of source stands for this many of the value.
  int64_t repeats = 1, repeatedDim = -1;
};

/// Looks below `v`, of rank 4.
PeeledHeads peelHeads(mlir::Value v);
/// The same without looking through repeated heads, where k and v do not share them alike.
PeeledHeads peelMoves(mlir::Value v);

/// The source with its dims in this order of those of the value; transposed if need be.
mlir::Value arrangeHeads(const PeeledHeads &p, llvm::ArrayRef<int64_t> order, mlir::Location loc,
                         mlir::OpBuilder &builder);

} // namespace sq

#endif
