/// Blocks of one launch that touch each other's global memory: in no order, so
/// a write beside another block's access is a race. Looked for on demand only.
#ifndef SQ_TEST_CUDA_EMULATOR_GLOBALRACES_H
#define SQ_TEST_CUDA_EMULATOR_GLOBALRACES_H

#include <cstdint>
#include <memory>
#include <unordered_map>

namespace sq::emulator {

/// Of one launch, whose blocks run one after the other.
class GlobalRaces {
public:
  /// Notes an access (`kind` as in emulator.h). True when it is a race; then
  /// `other` is the other block, or -1 for several, -2 for atomic operations.
  bool note(uint64_t block, uintptr_t address, int64_t bytes, int32_t kind,
            int64_t &other, bool &otherWrote);

private:
  struct Page {
    // 0: none; else 1 + the block, or one of these.
    uint32_t writer[4096], reader[4096];
  };
  static constexpr uint32_t kMany = UINT32_MAX, kAtomic = UINT32_MAX - 1;

  std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;
  uintptr_t lastNumber = 0;
  Page *last = nullptr;
};

} // namespace sq::emulator
#endif
