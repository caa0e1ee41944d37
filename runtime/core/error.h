/* The message of a thread's last failed call. */
#ifndef SQ_RUNTIME_CORE_ERROR_H
#define SQ_RUNTIME_CORE_ERROR_H

#include "sq/runtime.h"

namespace sq {

/* Sets the thread's message and returns `status`. Long messages are cut. */
__attribute__((format(printf, 2, 3))) sq_status fail(sq_status status, const char *format, ...);

/* At the start of every call that can fail: success leaves "". */
void clearError();

} // namespace sq

#endif
