/// What compiles of one model, that differ in a plan, need to do only once.
#ifndef SQ_LIB_DRIVER_COMPILECACHE_H
#define SQ_LIB_DRIVER_COMPILECACHE_H

#include "lib/driver/KernelCache.h"
#include "passes/CompressedLayer.h"

namespace sq {

/// Either may be null: nothing is kept. From any threads.
struct CompileCache {
  std::shared_ptr<KernelCache> kernels;
  std::shared_ptr<CompressedLayers> layers;
};

} // namespace sq

#endif
