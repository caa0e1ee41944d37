/// How kernels cut their work: by a cost model, or as the user says.
#ifndef SQ_CODEGEN_HOST_TILES_H
#define SQ_CODEGEN_HOST_TILES_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>

namespace sq {

struct HostTarget;

/// Sizes of tiles; 0: the cost model's choice.
struct Tiles {
  int64_t rows = 0;    // of the contraction tile in registers
  int64_t vectors = 0; // and its columns, in vector registers
  int64_t block = 0;   // rows of the left operand that stay in L2 while panels of weights pass by
  int64_t depth = 0;   // elements of k of a panel that stay in L1, or near it in L2, while these rows pass by
  int64_t keys = 0;    // of attention, whose scores stay in L1
  int64_t batch = 0;   // rows per thread of a part of the batch (--sq-chunk-batch)
};

/// Reads "rows=8,vectors=3,block=64"; empty on success, else what is wrong with it.
std::string parseTiles(llvm::StringRef text, Tiles &tiles);

/// Whether rows and vectors, where given, fit the registers of `target` and its panels.
bool fitTiles(const HostTarget &target, const Tiles &tiles);

/// `tiles` with what is 0 chosen for `target`, apart from `block` and `depth`, which depend on the product.
/// Tiles that do not fit `target` (its registers, the panels of the weights) are replaced as well.
Tiles chooseTiles(const HostTarget &target, Tiles tiles);

/// Rows of a task of a product over `depth` columns: a multiple of `tiles.rows`.
int64_t chooseBlock(const HostTarget &target, const Tiles &tiles, int64_t depth);

/// Elements of k of a part of a panel of floats; at most `depth`.
int64_t choosePart(const HostTarget &target, const Tiles &tiles, int64_t depth);

} // namespace sq

#endif
