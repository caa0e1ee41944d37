/// Machine code of kernels, kept from one compile to the next.
#ifndef SQ_LIB_DRIVER_KERNELCACHE_H
#define SQ_LIB_DRIVER_KERNELCACHE_H

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include "codegen/host/HostTarget.h"

namespace sq {

/// For programs that differ in a layer or two, such as those that losses are
/// measured on: code is made for the schedule and for kernels that are new. A
/// kernel is known by the SHA-256 of its text, the target, and what its code
/// depends on beside, so what is found is never of something else. In memory
/// only: a newer sq cannot find what an older one made.
///
/// A kernel that is compiled by itself computes the same; but its callers'
/// constants are unknown to it. Programs for users are made without.
///
/// From any threads.
class KernelCache {
public:
  using Object = llvm::SmallVector<char, 0>;

  /// Between --sq-buffers-to-kernels and --sq-kernels-to-llvm: the functions of
  /// `module` that can stand alone become declarations, and `objects` gets what
  /// defines them, hidden.
  llvm::Error
  replaceKernels(mlir::ModuleOp module, const HostTarget &target,
                 bool amxEmulated,
                 std::vector<std::shared_ptr<const Object>> &objects);

  /// Kernels that were compiled, and those that were there.
  size_t made() const { return misses; }
  size_t found() const { return hits; }

private:
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const Object>> known; // by symbol
  size_t bytes = 0, misses = 0, hits = 0;
};

} // namespace sq

#endif
