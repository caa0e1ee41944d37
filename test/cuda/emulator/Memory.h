/// What a kernel may touch outside its block, and what it did wrong.
#ifndef SQ_TEST_CUDA_EMULATOR_MEMORY_H
#define SQ_TEST_CUDA_EMULATOR_MEMORY_H

#include <cstdint>
#include <string>
#include <vector>

namespace sq::emulator {

/// What ends a launch; the numbers are those of CUresult.
enum class Fault : int {
  None = 0,
  Address = 700,
  Trap = 715,
  Misaligned = 716,
  Failed = 719
};

struct Allocation {
  uintptr_t base;
  uint64_t bytes;
  bool writable;

  bool holds(uintptr_t address, uint64_t size) const {
    uint64_t offset = address - base;
    return offset < bytes && size <= bytes - offset;
  }
};

/// The device's allocations. Not thread-safe: the driver changes it under its
/// lock, which it also holds while a launch reads it.
class DeviceMemory {
public:
  void add(const void *base, uint64_t bytes, bool writable);
  /// False when no allocation starts there.
  bool remove(const void *base);
  /// The allocation that `address` lies in, or null.
  const Allocation *find(uintptr_t address) const;
  /// Where an address that is not allocated lies, for a message.
  std::string describe(uintptr_t address, uint64_t bytes) const;
  const std::vector<Allocation> &all() const { return allocations; }

private:
  std::vector<Allocation> allocations; // by address
};

DeviceMemory &deviceMemory();

} // namespace sq::emulator
#endif
