/* A user's program: model.h beside model.a, nothing else of sq. */
#include "toy.h"

#include <stdio.h>

int main(void) {
  sq_module *module;
  sq_session *session;
  if (sq_module_load(NULL, NULL, &module) || sq_session_create(module, NULL, &session)) {
    fprintf(stderr, "%s\n", sq_last_error());
    return 1;
  }
  float x[2] = {1, 2};
  int64_t index[1] = {3}, shape[2] = {1, 2};
  DLTensor inputs[2] = {{x, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, NULL, 0},
                        {index, {kDLCPU, 0}, 1, {kDLInt, 64, 1}, shape, NULL, 0}};
  DLTensor outputs[2] = {{0}, {0}};
  if (sq_session_run(session, inputs, 2, outputs, 2)) {
    fprintf(stderr, "%s\n", sq_last_error());
    return 1;
  }
  const float *y = outputs[0].data;
  printf("%g %g\n", y[0], y[1]);
  sq_session_release(session);
  sq_module_release(module);
  return 0;
}
