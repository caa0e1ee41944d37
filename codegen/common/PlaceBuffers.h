/// Where buffers lie in an arena.
#ifndef SQ_CODEGEN_COMMON_PLACEBUFFERS_H
#define SQ_CODEGEN_COMMON_PLACEBUFFERS_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "passes/analysis/SymbolicSize.h"

#include <vector>

namespace sq {

/// A number of bytes: the value in the program and its formula.
struct ArenaBytes {
  mlir::Value value;
  SymbolicSize size = 0;
};

struct ArenaBuffer {
  mlir::memref::AllocOp op;
  int64_t first = 0, last = 0; // positions of ops in the schedule
  ArenaBytes bytes;            // rounded up to the alignment
};

/// A buffer begins at the largest end of these others; of none, at the start of
/// the arena.
struct ArenaPlace {
  std::vector<unsigned> behind;
};

struct ArenaPlan {
  std::vector<unsigned> order; // each buffer comes behind those that it lies behind
  std::vector<ArenaPlace> places; // by buffer
  ArenaPlace end;                 // of the arena
};

/// Buffers that are alive at the same time get disjoint ranges. Takes a time
/// that is nearly linear in the number of buffers, however many live together.
ArenaPlan placeBuffers(llvm::ArrayRef<ArenaBuffer> buffers);

} // namespace sq

#endif
