/* A loaded artifact. */
#ifndef SQ_RUNTIME_CORE_MODULE_H
#define SQ_RUNTIME_CORE_MODULE_H

#include <atomic>

#include "runtime/core/manifest_generated.h"
#include "sq/kernel_abi.h"
#include "sq/runtime.h"

namespace sq {
namespace cuda {
struct Module;
}
struct Cache;
} // namespace sq

struct sq_module {
  std::atomic<int32_t> references;
  void *library;      /* of dlopen; NULL when linked in */
  /* Kept open: dlopen identifies a library also by its name, which is
   * /proc/self/fd/<fd>; a number used again would name another file. */
  int fd;
  uint8_t *ownedManifest;
  const uint8_t *manifestBytes;
  size_t manifestSize;
  const sq::manifest::Manifest *manifest; /* in manifestBytes, verified */
  const sq_artifact_descriptor *artifact;
  const uint8_t *weights;    /* the artifact's, a copy (copy.h), or mapped again (huge.h) */
  void *copyMemory;          /* NULL without */
  size_t copySize;
  const sq_variant *variant; /* the one for this CPU or device */
  int32_t numInputs, numOutputs;
  sq_tensor_info *inputs, *outputs;
  sq_dim_info *dims;      /* of all tensors, inputs first */
  /* Of every entry of `dims`: a number for its symbol, -1 without; equal names
   * have equal numbers below numSymbols. */
  int32_t *symbols;
  int32_t numSymbols, numDims;
  sq::cuda::Module *cuda; /* of the device; NULL: the module runs on the CPU */
  sq::Cache *cache; /* cache.h; NULL: keys and values do not stay */
  uint8_t *widened; /* see widen.h; NULL without */
  size_t widenedSize;
  int32_t vectorBytes; /* widest vectors of this CPU, below the cap: 64 (avx512dq), 32 (avx2) or 16 */
  char note[256]; /* "" when there is nothing to say */
};

namespace sq {

/* "f32", "i64", ...: as in sq.dtype; "?" for a type sq does not have. */
const char *dtypeName(DLDataType dtype);
/* Elements of less than a byte have a byte of their own (DLPack: padded, not packed). */
inline int64_t elementBytes(DLDataType dtype) { return (dtype.bits + 7) / 8; }

} // namespace sq

#endif
