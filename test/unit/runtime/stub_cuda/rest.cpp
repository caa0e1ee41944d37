/// All functions of the driver that sq uses, doing nothing, for those that
/// driver.cpp does not define.
#include "runtime/cuda/driver.h"

using namespace sq::cuda;

#define SQ_STUB(member, symbol, parameters)                                                        \
  extern "C" __attribute__((weak, visibility("default"))) Result symbol parameters { return 0; }
SQ_CUDA_FUNCTIONS(SQ_STUB)
