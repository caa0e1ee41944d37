#include "runtime/core/error.h"

#include <stdarg.h>
#include <stdio.h>

namespace sq {

static thread_local char message[1024];

sq_status fail(sq_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  return status;
}

void clearError() { message[0] = 0; }

} // namespace sq

const char *sq_last_error(void) { return sq::message; }

const char *sq_status_string(sq_status status) {
  switch (status) {
  case SQ_STATUS_OK:
    return "ok";
  case SQ_STATUS_INVALID_ARGUMENT:
    return "invalid argument";
  case SQ_STATUS_NOT_FOUND:
    return "not found";
  case SQ_STATUS_CORRUPT:
    return "corrupt artifact";
  case SQ_STATUS_UNSUPPORTED:
    return "unsupported";
  case SQ_STATUS_OUT_OF_MEMORY:
    return "out of memory";
  case SQ_STATUS_IO:
    return "input or output error";
  case SQ_STATUS_INTERNAL:
    return "internal error";
  }
  return "unknown status";
}

const char *sq_runtime_version(void) { return "0.1.0"; }
