/* The kernels of one variant of an artifact. */
#ifndef SQ_RUNTIME_CORE_KERNEL_LIST_H
#define SQ_RUNTIME_CORE_KERNEL_LIST_H

#include <string.h>

#include "runtime/core/manifest_generated.h"

namespace sq {

inline const flatbuffers::Vector<flatbuffers::Offset<manifest::Kernel>> *
kernelList(const manifest::Manifest *manifest, const char *level) {
  for (const manifest::Variant *variant : *manifest->variants())
    if (variant->kernels() && !strcmp(variant->level()->c_str(), level))
      return variant->kernels();
  return manifest->kernels();
}

} // namespace sq

#endif
