/// The host schedule as data: kernels in order, what they read and write, and
/// where the buffers lie. For the manifest and the compile report.
#ifndef SQ_CODEGEN_COMMON_SCHEDULE_H
#define SQ_CODEGEN_COMMON_SCHEDULE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "passes/analysis/SymbolicSize.h"

#include "llvm/ADT/SetVector.h"

#include <optional>

namespace sq {

struct ScheduledBuffer {
  enum Kind { Input, Output, Weight, Arena } kind;
  std::string name;   // of an input or output; of a weight the initialiser's, if it is known
  std::string type;   // "f32[batch, 128]"
  SymbolicSize bytes = 0;
  SymbolicSize offset = 0;            // in the arena or the weight section
  std::vector<int> readers, writers;  // kernels, ascending
  /// The range of kernels that an arena buffer must live for.
  int first() const;
  int last() const;
};

/// What a CUDA kernel takes of the device.
struct KernelResources {
  std::string function;
  int64_t threads = 0;                          // of a block
  int64_t registers = 0;                        // of a thread
  int64_t sharedBytes = 0;                      // of a block
  int64_t spillBytes = 0, stackBytes = 0;       // of a thread
  double occupancy = 0;                         // 0 to 1
};

struct ScheduledKernel {
  std::string name, kind;
  std::vector<std::string> parts, nodes;
  std::string flops, reads, writes; // formulas, "?" when unknown
  std::vector<int> inputs, outputs; // buffers; what is both is in both
  /// One of several for the same work, for other dims than the usual ones.
  bool isAlternative = false;
  std::optional<KernelResources> resources; // of CUDA kernels, when ptxas was there
};

struct Schedule {
  std::vector<ScheduledKernel> kernels;
  std::vector<ScheduledBuffer> buffers;
  SymbolicSize arenaBytes = 0;
  int dataArenas = 0; // whose sizes depend on data; not in arenaBytes
};

/// The buffer that `memref` is a view of.
mlir::Value rootOf(mlir::Value memref);

/// Buffers outside of ops that these read and write, as their memory effects
/// say; what they call (--sq-share-kernels) is looked into.
struct Accesses {
  llvm::SetVector<mlir::Value> read, written;

  void add(mlir::Operation *op);
  /// Neither writes what the other touches: their order does not matter.
  bool isIndependentOf(const Accesses &other) const;
};

/// Reads the program of `func`, which has been through --sq-plan-arena.
Schedule readSchedule(mlir::func::FuncOp func);

} // namespace sq

#endif
