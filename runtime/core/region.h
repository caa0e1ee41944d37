/* Memory of a session on the host. */
#ifndef SQ_RUNTIME_CORE_REGION_H
#define SQ_RUNTIME_CORE_REGION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SQ_ASAN
#endif
#endif
#if defined(SQ_ASAN)
extern "C" void __asan_poison_memory_region(void const volatile *, size_t);
extern "C" void __asan_unpoison_memory_region(void const volatile *, size_t);
/* A mapping has no red zone of its own: what lies beyond it gets one, up to the
 * last byte asked for. */
#define SQ_POISON(data, from, to) __asan_poison_memory_region((data) + (from), (to) - (from))
#define SQ_UNPOISON(data, size) __asan_unpoison_memory_region(data, size)
#else
#define SQ_POISON(data, from, to)
#define SQ_UNPOISON(data, size)
#endif

namespace sq {

/* Anonymous memory that only grows. Mapped, not malloc'ed: page-aligned, and
 * growing never holds old and new at once. */
struct Region {
  uint8_t *data;
  size_t capacity;

  bool reserve(size_t bytes) {
    constexpr size_t page = 4096;
    if (bytes <= capacity) {
      SQ_UNPOISON(data, capacity);
      SQ_POISON(data, bytes, capacity);
      return true;
    }
    release();
    if (bytes > SIZE_MAX - 2 * page)
      return false;
    size_t size = (bytes + page - 1) / page * page;
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return false;
    data = static_cast<uint8_t *>(memory);
    capacity = size;
    SQ_POISON(data, bytes, capacity);
    return true;
  }
  void release() {
    SQ_UNPOISON(data, capacity);
    if (capacity)
      munmap(data, capacity);
    data = nullptr;
    capacity = 0;
  }
};

} // namespace sq

#endif
