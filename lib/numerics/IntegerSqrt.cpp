#include "lib/numerics/IntegerSqrt.h"

#include "lib/numerics/Dyadic.h"

uint64_t sq::numerics::integerSqrt(uint64_t n, int *updates) {
  int count = 0;
  uint64_t x = n ? uint64_t(1) << ((bitLength(n) + 1) / 2) : 0;
  while (x) {
    uint64_t y = (x + n / x) >> 1;
    if (y >= x)
      break;
    x = y;
    ++count;
  }
  if (updates)
    *updates = count;
  return x;
}
