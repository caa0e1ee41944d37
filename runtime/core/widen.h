/* What kernels read of weights that are stored in fewer bits: bytes of 2 to 7 bits, and, for CPU levels without AMX,
 * f32 copies of bf16. */
#ifndef SQ_RUNTIME_CORE_WIDEN_H
#define SQ_RUNTIME_CORE_WIDEN_H

#include "runtime/core/module.h"

namespace sq {

/* Makes the copies that the manifest lists, those in f32 when the chosen
 * variant reads them.
 * SQ_STATUS_CORRUPT when an entry reaches outside of the weights or the copies,
 * SQ_STATUS_OUT_OF_MEMORY with the size needed. */
sq_status widenWeights(sq_module *module, const manifest::Variant *variant);
void freeWidened(sq_module *module);

} // namespace sq

#endif
