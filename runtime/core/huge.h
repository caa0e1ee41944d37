/* What is read for every token, in huge pages. */
#ifndef SQ_RUNTIME_CORE_HUGE_H
#define SQ_RUNTIME_CORE_HUGE_H

#include <stdint.h>

#include "runtime/core/module.h"

namespace sq {

/* Maps the weights, which lie at `offset` of the module's file, once more, so
 * that the codes among them (manifest.fbs: coded_begin) are in huge pages:
 * where the page cache has them so, these, shared by all processes; elsewhere
 * copies. Nothing is done where codes are few, and where memory lacks the
 * weights stay where they are: it is slower, not wrong. Freed with freeCopy. */
sq_status mapHuge(sq_module *module, uint64_t offset);

} // namespace sq

#endif
