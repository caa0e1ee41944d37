/* Weights in memory of the module's own. */
#ifndef SQ_RUNTIME_CORE_COPY_H
#define SQ_RUNTIME_CORE_COPY_H

#include "runtime/core/module.h"

namespace sq {

enum class WeightsChoice { Auto, Mapped, Copied };

/* Reads the choice from `option` (may be NULL) or else from SQ_WEIGHTS. */
sq_status readWeightsChoice(const char *option, WeightsChoice *choice);

/* Copies the weights of `module`, which is freed with freeCopy, and lets the
 * mapped ones go. */
sq_status copyWeights(sq_module *module);
/* Gives back the pages of the file that the weights fill, read again should
 * anything ask for them there. */
void releaseMapped(sq_module *module);
void freeCopy(sq_module *module);

} // namespace sq

#endif
