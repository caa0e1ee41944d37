#include "test/cuda/emulator/Memory.h"

#include <algorithm>
#include <cstdio>

namespace sq::emulator {
namespace {

bool startsBefore(const Allocation &a, uintptr_t address) {
  return a.base < address;
}

std::string text(const Allocation &a) {
  char hex[32];
  snprintf(hex, sizeof hex, "0x%llx", static_cast<unsigned long long>(a.base));
  return "the allocation of " + std::to_string(a.bytes) + " bytes at " + hex;
}

} // namespace

void DeviceMemory::add(const void *base, uint64_t bytes, bool writable) {
  auto address = reinterpret_cast<uintptr_t>(base);
  auto at = std::lower_bound(allocations.begin(), allocations.end(), address,
                             startsBefore);
  allocations.insert(at, Allocation{address, bytes, writable});
}

bool DeviceMemory::remove(const void *base) {
  auto address = reinterpret_cast<uintptr_t>(base);
  auto at = std::lower_bound(allocations.begin(), allocations.end(), address,
                             startsBefore);
  if (at == allocations.end() || at->base != address)
    return false;
  allocations.erase(at);
  return true;
}

const Allocation *DeviceMemory::find(uintptr_t address) const {
  auto at = std::lower_bound(allocations.begin(), allocations.end(),
                             address + 1, startsBefore);
  if (at == allocations.begin())
    return nullptr;
  --at;
  return address - at->base < at->bytes ? &*at : nullptr;
}

std::string DeviceMemory::describe(uintptr_t address, uint64_t bytes) const {
  // Farther from an allocation than this, it says nothing about the mistake.
  constexpr uint64_t near = 1 << 20;
  auto next = std::lower_bound(allocations.begin(), allocations.end(),
                               address + 1, startsBefore);
  uint64_t after = UINT64_MAX, before = UINT64_MAX;
  if (next != allocations.begin())
    after = address + bytes - ((next - 1)->base + (next - 1)->bytes);
  if (next != allocations.end())
    before = next->base - address;
  if (std::min(after, before) > near)
    return "no device memory: a host pointer, or freed?";
  if (after <= before)
    return "ends " + std::to_string(after) + " bytes beyond " +
           text(*(next - 1));
  return "begins " + std::to_string(before) + " bytes before " + text(*next);
}

DeviceMemory &deviceMemory() {
  // Never destroyed: the driver's calls may come from other destructors.
  static auto *memory = new DeviceMemory;
  return *memory;
}

} // namespace sq::emulator
