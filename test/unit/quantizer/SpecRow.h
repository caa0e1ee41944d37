/// The row of specification dense-and-sparse.md 10.1, and its generator.
#ifndef SQ_TEST_UNIT_QUANTIZER_SPECROW_H
#define SQ_TEST_UNIT_QUANTIZER_SPECROW_H

#include <cstdint>
#include <cstring>
#include <vector>

namespace sq::test {

struct Lcg {
  uint64_t state;
  uint32_t next() {
    state = 6364136223846793005u * state + 1442695040888963407u;
    return state >> 32;
  }
};

/// FNV-1a of 64 bits, over little-endian bytes.
struct Fnv {
  uint64_t hash = 1469598103934665603u;
  template <typename T> void add(T value) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof value);
    for (unsigned char byte : bytes)
      hash = (hash ^ byte) * 1099511628211u;
  }
};

struct SpecRow {
  std::vector<float> w, f;

  SpecRow() {
    Lcg random{2024};
    for (int i = 0; i < 256; ++i) {
      double t = (random.next() + 0.5) / 2147483648.0 - 1;
      // (Each in its own variable: contraction would round differently.)
      volatile double square = t * t;
      w.push_back(float(0.02 * (t / (1.02 - square))));
      double u = (random.next() + 0.5) / 4294967296.0;
      volatile double uu = u * u;
      f.push_back(float(1 / (0.002 + uu)));
    }
  }
};

/// sum of f (w - got)^2.
inline double weightedError(const std::vector<float> &w,
                            const std::vector<float> &f,
                            const std::vector<float> &got) {
  double sum = 0;
  for (size_t i = 0; i < w.size(); ++i)
    sum += double(f[i]) * (double(w[i]) - got[i]) * (double(w[i]) - got[i]);
  return sum;
}

} // namespace sq::test

#endif
