/// Any bytes as a plan: read or refused, and what is read can be asked.
#include "lib/quantization/Plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sq::Plan plan;
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  if (!sq::Plan::parse(text, "plan", plan).ok())
    return 0;
  sq::LayerNames names{"/encoder/layer.0/query/MatMul", "[a] {b}", text.take_front(64).str()};
  plan.find(names);
  (void)plan.check({names});
  return 0;
}
