/* The public headers are C11. */
#include "sq/runtime.h"

#include "sq/kernel_abi.h"

sq_status use(sq_module *module, DLTensor *tensor);
sq_status use(sq_module *module, DLTensor *tensor) {
  sq_session *session;
  sq_session_options options = {.size = sizeof(options), .threads = 1};
  sq_status status = sq_session_create(module, &options, &session);
  if (status != SQ_STATUS_OK)
    return status;
  status = sq_session_run(session, tensor, 1, tensor + 1, 1);
  sq_session_release(session);
  return status;
}
