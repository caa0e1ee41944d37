/* Feature bits: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E. A
 * feature counts only when the operating system saves its registers (XCR0). */
#include "runtime/core/cpu.h"

#include <atomic>
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/core/error.h"

namespace sq {
namespace {

const char *const levels[] = {"x86-64", "x86-64-v3", "avx512", "vnni", "amx"};
constexpr int numLevels = sizeof(levels) / sizeof(levels[0]);

enum Register { EAX, EBX, ECX, EDX };

constexpr uint64_t noState = 0, ymmState = 0x6, zmmState = 0xe6, tileState = 0x60000;

struct Feature {
  const char *name;
  int rank; /* index into levels */
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  uint64_t state; /* bits of XCR0 */
};

const Feature features[] = {
    {"fma", 1, 1, 0, ECX, 12, ymmState},
    {"movbe", 1, 1, 0, ECX, 22, noState},
    {"f16c", 1, 1, 0, ECX, 29, ymmState},
    {"bmi1", 1, 7, 0, EBX, 3, noState},
    {"avx2", 1, 7, 0, EBX, 5, ymmState},
    {"bmi2", 1, 7, 0, EBX, 8, noState},
    {"lzcnt", 1, 0x80000001, 0, ECX, 5, noState},
    {"avx512f", 2, 7, 0, EBX, 16, zmmState},
    {"avx512dq", 2, 7, 0, EBX, 17, zmmState},
    {"avx512cd", 2, 7, 0, EBX, 28, zmmState},
    {"avx512bw", 2, 7, 0, EBX, 30, zmmState},
    {"avx512vl", 2, 7, 0, EBX, 31, zmmState},
    {"avx512vnni", 3, 7, 0, ECX, 11, zmmState},
    {"avx512bf16", 3, 7, 1, EAX, 5, zmmState},
    {"avxvnni", 3, 7, 1, EAX, 4, ymmState},
    {"amx-bf16", 4, 7, 0, EDX, 22, tileState},
    {"amx-tile", 4, 7, 0, EDX, 24, tileState},
    {"amx-int8", 4, 7, 0, EDX, 25, tileState},
};

uint64_t enabledState() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) /* OSXSAVE */
    return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

/* Linux gives the tile registers to a process only when it asks, once; threads
 * made later have them too (Documentation/arch/x86/xstate.rst). Modules are
 * loaded before their sessions make threads. Refused, the level counts as
 * missing and the next lower one is taken. */
bool requestTiles() {
  constexpr long requestPermission = 0x1023, tileData = 18;
  static std::atomic<int> granted{-1};
  int known = granted.load();
  if (known < 0) {
    known = syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
    granted.store(known);
  }
  return known != 0;
}

} // namespace

sq_status readCpuCap(const char *option, CpuCap *cap) {
  const char *source = option ? "the cpu option" : "SQ_CPU";
  const char *name = option ? option : getenv("SQ_CPU");
  *cap = {numLevels - 1, ""};
  if (!name || !*name)
    return SQ_STATUS_OK;
  for (int i = 0; i < numLevels; ++i)
    if (!strcmp(name, levels[i])) {
      *cap = {i, levels[i]};
      return SQ_STATUS_OK;
    }
  return fail(SQ_STATUS_INVALID_ARGUMENT,
              "%s names the unknown CPU level '%.64s'; valid are x86-64, x86-64-v3, avx512, vnni, amx",
              source, name);
}

bool cpuHas(const char *feature, const CpuCap &cap) {
  for (const Feature &f : features) {
    if (strcmp(f.name, feature))
      continue;
    uint32_t r[4];
    return f.rank <= cap.rank && __get_cpuid_count(f.leaf, f.subleaf, &r[0], &r[1], &r[2], &r[3]) &&
           (r[f.reg] >> f.bit & 1) && (enabledState() & f.state) == f.state &&
           (f.state != tileState || requestTiles());
  }
  return false;
}

} // namespace sq
