/// What scores of attention begin with: masks, as tiles of sums.
#ifndef SQ_CODEGEN_HOST_AMXSTARTS_H
#define SQ_CODEGEN_HOST_AMXSTARTS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq {

/// Scores are K Q^T: a row of a tile is a key, a lane one of 16 queries.
/// Memory of 32-bit elements, [threads] first.
struct AmxStarts {
  mlir::Value rows;    // [16, or 1 for all queries][keys, in whole tiles]
  mlir::Value tiles;   // [keys][16]
  mlir::Value strides; // i64 [keys / 16]: 0 where a tile is its first row
  bool isShared;       // by all queries

  /// For `keys` keys (a multiple of 16) and `queries`, 16 or 1.
  static AmxStarts allocate(mlir::ImplicitLocOpBuilder &b, mlir::Value keys,
                            int64_t queries, mlir::Type element);

  /// Tiles of the first `keys` keys from `rows`. Of one row for all queries a
  /// tile has rows of one number each; where they are equal, it needs only one.
  void fill(mlir::ImplicitLocOpBuilder &b, mlir::Value thread,
            mlir::Value keys) const;

  /// That of the keys [t, t + 16).
  mlir::Value load(mlir::ImplicitLocOpBuilder &b, mlir::Value thread,
                   mlir::Value t) const;

private:
  void fillShared(mlir::ImplicitLocOpBuilder &b, mlir::Value thread,
                  mlir::Value t) const;
  void fillOwn(mlir::ImplicitLocOpBuilder &b, mlir::Value thread,
               mlir::Value t) const;
};

} // namespace sq

#endif
