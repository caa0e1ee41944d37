/// Which arguments and results of a decoder are keys and values that could stay between runs.
#ifndef SQ_PASSES_CACHE_STATES_CACHEANALYSIS_H
#define SQ_PASSES_CACHE_STATES_CACHEANALYSIS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <optional>
#include <string>

#include "dialects/sq/IR/SqOps.h"
#include "passes/analysis/SymbolicSize.h"

namespace sq {

/// [0, 2, 1, 3], which exchanges heads and places.
inline bool exchangesHeads(mlir::linalg::TransposeOp op) {
  return op && op.getPermutation() == llvm::ArrayRef<int64_t>{0, 2, 1, 3};
}

/// A result that is an argument with rows behind it; or, without both, the keys
/// or values that an attention makes of its own places.
struct Cached {
  int input = -1, output = -1;
  int64_t axis = 0;  // of places: 1 or 2
  mlir::Value whole, rows; // the result; what was appended, in its layout
  llvm::SmallVector<mlir::OpOperand *> readers; // k or v of attention
};

/// Proves, from what makes them, and says in `reason` why not.
struct CacheAnalysis {
  mlir::func::FuncOp func;
  bool takeOnes; // a mask of padding is all ones
  bool makeOwn;  // caches of a program that has no past
  SymbolicSizes sizes = {};
  std::string reason = "";                // why not
  std::optional<unsigned> maskInput = {}; // that is taken so

  bool refuse(const llvm::Twine &why);
  std::string argName(unsigned i);
  SymbolicSize sizeOf(mlir::OpFoldResult size);
  /// Where `insert` puts its source; nullopt with strides, or when that is not
  /// known.
  std::optional<llvm::SmallVector<SymbolicSize>> offsetsOf(mlir::tensor::InsertSliceOp insert);
  /// past at 0 and rows behind it, together all of a fresh tensor.
  std::optional<Cached> matchAppend(mlir::Value result);
  /// Only attention may read what became whole.
  bool findReaders(Cached &cached);
  /// Integers or booleans [batch, places of the past and new ones], by name a
  /// mask.
  std::optional<unsigned> findMask();
  /// A mask that hides what causality hides and nothing else, when that of
  /// padding is ones.
  bool isCausalMask(AttentionOp op, const Cached &keys);
  /// Queries see what lies before them, and themselves.
  bool isCausal(AttentionOp op, const Cached &keys);
  /// Of a program without a past: keys and values of all attentions, which must be to the places
  /// of the queries.
  llvm::SmallVector<Cached> findOwn();
  llvm::SmallVector<Cached> find();
  /// The argument [batch, places] of integers that are tokens, and that of
  /// positions; -1: none.
  void findTokens(const SymbolicSize &places, int &tokens, int &positions, int64_t &vocabulary);
  /// The least number of rows of a table that `v` indexes, through loops that
  /// move or check it; 0: none.
  static int64_t tableRows(mlir::Value v, int depth);
};

} // namespace sq

#endif
