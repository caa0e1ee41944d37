/* sq_lm_sample: one of the logits, by a counter-based random number. Arithmetic
 * is
 * +, -, * and / of doubles, which IEEE 754 rounds alike everywhere (no fused
 * multiply-add: see CMakeLists.txt), and comparisons. */
#include <algorithm>
#include <math.h>
#include <string.h>

#include "lib/numerics/Philox.h"
#include "runtime/core/error.h"
#include "runtime/core/session.h"

namespace sq {
namespace {

/* The first two words of block `counter` of `key`. */
uint64_t philox(uint64_t key, uint64_t counterLow, uint64_t counterHigh) {
  auto low = [](uint64_t x) { return static_cast<uint32_t>(x); };
  auto words = numerics::philox({low(counterLow), low(counterLow >> 32), low(counterHigh), low(counterHigh >> 32)},
                                {low(key), low(key >> 32)});
  return static_cast<uint64_t>(words[1]) << 32 | words[0];
}

/* Loops over all logits, which compilers make vectors of: no branches and no
 * calls, sums and comparisons in columns. Without fused multiply-adds vectors of
 * any width give the same bits. */
#define SQ_INLINE inline __attribute__((always_inline))
constexpr int64_t kColumns = 16;

/* The largest of them, and whether all are numbers below +inf. */
struct Extent {
  float largest;
  bool isFinite;
};
SQ_INLINE Extent extentOf(const float *logits, int64_t count) {
  constexpr float most = 3.402823466e38f;
  float largest[kColumns];
  uint32_t others[kColumns] = {};
  for (float &x : largest)
    x = -INFINITY;
  int64_t i = 0;
  for (; i + kColumns <= count; i += kColumns)
    for (int64_t c = 0; c < kColumns; ++c) {
      float x = logits[i + c];
      largest[c] = x > largest[c] ? x : largest[c];
      others[c] |= x <= most ? 0u : 1u;
    }
  Extent extent = {-INFINITY, true};
  auto look = [&](float x, bool isFinite) {
    extent.largest = x > extent.largest ? x : extent.largest;
    extent.isFinite &= isFinite;
  };
  for (; i < count; ++i)
    look(logits[i], logits[i] <= most);
  for (int64_t c = 0; c < kColumns; ++c)
    look(largest[c], !others[c]);
  return extent;
}

/* exp((logits[i] - largest) / temperature), to some 1e-15 of it, and 0 below
 * exp(-700): 2^n exp(r) with |r| <= ln(2) / 2 and Taylor's polynomial of degree
 * 13 (its remainder is below 4e-18). */
SQ_INLINE void exponentialsOf(const float *logits, int64_t count, double largest, double temperature, double *result) {
  constexpr double log2e = 1.4426950408889634,
                   ln2High = 0.693147180369123816490,
                   ln2Low = 1.90821492927058770002e-10,
                   round = 6755399441055744.0; /* 1.5 * 2^52 */
  constexpr double taylor[] = {1,         1,          1 / 2.,      1 / 6.,       1 / 24.,       1 / 120.,       1 / 720.,
                               1 / 5040., 1 / 40320., 1 / 362880., 1 / 3628800., 1 / 39916800., 1 / 479001600., 1 / 6227020800.};
  for (int64_t i = 0; i < count; ++i) {
    double exact = (static_cast<double>(logits[i]) - largest) / temperature;
    double x = exact < -700 ? -700 : exact;
    double rounded = x * log2e + round; /* n in its low bits */
    double n = rounded - round, r = (x - n * ln2High) - n * ln2Low, sum = taylor[13];
#pragma GCC unroll 13
    for (int k = 12; k >= 0; --k)
      sum = sum * r + taylor[k];
    uint64_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    bits = (bits + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    result[i] = exact < -700 ? 0 : sum * power;
  }
}

/* Sums of kBlock weights each, and what all of them sum to. */
constexpr int64_t kBlock = 64;
SQ_INLINE double blockSumsOf(const double *weights, int64_t count, double *sums) {
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    double columns[kColumns] = {}, sum = 0;
    int64_t i = begin, end = count - begin < kBlock ? count : begin + kBlock;
    for (; i + kColumns <= end; i += kColumns)
      for (int64_t c = 0; c < kColumns; ++c)
        columns[c] += weights[i + c];
    for (; i < end; ++i)
      sum += weights[i];
    for (double column : columns)
      sum += column;
    sums[begin / kBlock] = sum;
    total += sum;
  }
  return total;
}

struct Loops {
  Extent (*extent)(const float *logits, int64_t count);
  void (*exponentials)(const float *logits, int64_t count, double largest, double temperature, double *result);
  double (*blockSums)(const double *weights, int64_t count, double *sums);
};
#define SQ_LOOPS(Name, Attribute)                                                                                      \
  struct Name {                                                                                                        \
    Attribute static Extent extent(const float *logits, int64_t count) { return extentOf(logits, count); }      \
    Attribute static void exponentials(const float *logits, int64_t count, double largest, double temperature,         \
                                       double *result) {                                                               \
      exponentialsOf(logits, count, largest, temperature, result);                                              \
    }                                                                                                                  \
    Attribute static double blockSums(const double *weights, int64_t count, double *sums) {                            \
      return blockSumsOf(weights, count, sums);                                                                 \
    }                                                                                                                  \
    static constexpr Loops all = {extent, exponentials, blockSums};                                                    \
  };
SQ_LOOPS(Loops16, )
SQ_LOOPS(Loops32, __attribute__((target("avx2"))))
SQ_LOOPS(Loops64, __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl"))))

const Loops &loopsFor(const sq_session *session) {
  const int32_t bytes = session->module->vectorBytes;
  return bytes == 64 ? Loops64::all : bytes == 32 ? Loops32::all : Loops16::all;
}

/* Larger logits first, of equal ones the lower id. */
struct Before {
  const float *logits;
  bool operator()(int32_t a, int32_t b) const {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  }
};

/* The `k` largest, in order: a heap whose top is the least of them, which few
 * others come before. */
void largestOf(const float *logits, int64_t count, int64_t k, int32_t *ids) {
  Before before = {logits};
  for (int64_t i = 0; i < k; ++i)
    ids[i] = static_cast<int32_t>(i);
  std::make_heap(ids, ids + k, before);
  float least = logits[ids[0]];
  for (int64_t i = k; i < count; ++i) {
    if (logits[i] <= least) /* of equal ones the lower id is there */
      continue;
    std::pop_heap(ids, ids + k, before);
    ids[k - 1] = static_cast<int32_t>(i);
    std::push_heap(ids, ids + k, before);
    least = logits[ids[0]];
  }
  std::sort_heap(ids, ids + k, before);
}

/* What is chosen from, by place. Of equal logits the one in front comes first. */
struct Candidates {
  const float *logits;
  const double *weights;
  int64_t count;
  double total;
};

/* The fewest whose weights reach `p` of the total: their places, in order; how
 * many. The largest are gathered by a bound, which falls until they suffice:
 * they are few, and only they are sorted. */
int64_t nucleusOf(const Candidates &all, double largest, double temperature, double p, int32_t *places) {
  const double wanted = p * all.total;
  for (double depth = 4;; depth *= 2) {
    const double bound = largest - depth * temperature;
    const bool isAll = depth > 700; /* what is below has no weight */
    int64_t gathered = 0, kept = 0;
    double reached = 0;
    for (int64_t i = 0; i < all.count; ++i)
      if (static_cast<double>(all.logits[i]) >= bound && all.weights[i] > 0) {
        places[gathered++] = static_cast<int32_t>(i);
        reached += all.weights[i];
      }
    if (reached < wanted && !isAll)
      continue;
    std::sort(places, places + gathered, Before{all.logits});
    for (reached = 0; kept < gathered && reached < wanted; ++kept)
      reached += all.weights[places[kept]];
    if (reached >= wanted || isAll) /* sums in another order round otherwise */
      return kept ? kept : 1;
  }
}

sq_status choose(sq_session *session, const float *logits, int64_t count,
                 const sq_lm_sampling &how, uint64_t sequence, uint64_t step,
                 int64_t *token) {
  const Loops &loops = loopsFor(session);
  const Extent extent = loops.extent(logits, count);
  for (int64_t i = 0; !extent.isFinite && i < count; ++i)
    if (!(logits[i] <= 3.402823466e38f)) /* NaN too */
      return fail(SQ_STATUS_INVALID_ARGUMENT, "logit %lld is %s",
                  static_cast<long long>(i),
                  logits[i] != logits[i] ? "NaN" : "infinite");
  if (extent.largest == -INFINITY)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "all logits are -inf: there is no token to choose");
  if (how.temperature == 0) {
    int64_t best = 0;
    while (logits[best] != extent.largest)
      ++best;
    *token = best;
    return SQ_STATUS_OK;
  }
  const size_t number = static_cast<size_t>(count);
  const size_t blocks = (number + kBlock - 1) / kBlock;
  if (!session->sampling.reserve((number + blocks) * sizeof(double) + number * (sizeof(float) + 2 * sizeof(int32_t))))
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for %lld logits",
                static_cast<long long>(count));
  double *weights = reinterpret_cast<double *>(session->sampling.data);
  double *sums = weights + number;
  float *values = reinterpret_cast<float *>(sums + blocks);
  int32_t *ids = reinterpret_cast<int32_t *>(values + number), *places = ids + number;
  const bool isTop = how.top_k && how.top_k < count, isNucleus = how.top_p > 0 && how.top_p < 1;
  Candidates all = {logits, weights, count, 0};
  if (isTop) {
    all = {values, weights, how.top_k, 0};
    largestOf(logits, count, all.count, ids);
    for (int64_t i = 0; i < all.count; ++i)
      values[i] = logits[ids[i]];
  }
  const double largest = static_cast<double>(extent.largest);
  loops.exponentials(all.logits, all.count, largest, how.temperature, weights);
  all.total = loops.blockSums(weights, all.count, sums);
  /* 53 bits of [0, 1). */
  const double share = static_cast<double>(philox(how.seed, step, sequence) >> 11) / 9007199254740992.0;
  double reached = 0;
  int64_t chosen = 0;
  if (isNucleus) {
    int64_t kept = nucleusOf(all, largest, how.temperature, how.top_p, places);
    double total = 0;
    for (int64_t i = 0; i < kept; ++i)
      total += weights[places[i]];
    for (int64_t i = 0; i < kept && reached <= share * total; ++i) {
      if (weights[places[i]] > 0)
        chosen = places[i];
      reached += weights[places[i]];
    }
  } else {
    const double at = share * all.total;
    int64_t i = 0;
    for (; i + kBlock < all.count && reached + sums[i / kBlock] <= at; i += kBlock)
      reached += sums[i / kBlock];
    for (; i < all.count && reached <= at; ++i) {
      if (weights[i] > 0)
        chosen = i;
      reached += weights[i];
    }
  }
  *token = isTop ? ids[chosen] : chosen;
  return SQ_STATUS_OK;
}

} // namespace
} // namespace sq

sq_status sq_lm_sample(sq_session *session, const float *logits, int64_t count,
                       const sq_lm_sampling *sampling, uint64_t sequence,
                       uint64_t step, int64_t *token) {
  sq::clearError();
  if (!session || !logits || !sampling || !token ||
      sampling->size < sizeof(size_t))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_lm_sample: give a session, logits, sampling with its "
                    "size set, and token");
  if (count < 1 || count > INT32_MAX)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_lm_sample: %lld logits, expected 1 to 2147483647",
                    static_cast<long long>(count));
  sq_lm_sampling how = {sizeof(how), 0, 0, 0, 0};
  memcpy(&how, sampling,
         sampling->size < sizeof(how) ? sampling->size : sizeof(how));
  if (!(how.temperature >= 0 && how.temperature <= 1e6))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "a temperature of %g; give 0 (greedy) to 1e6",
                    how.temperature);
  if (how.top_k < 0)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "the %lld largest logits; give top_k 0 (all) or more",
                    static_cast<long long>(how.top_k));
  if (!(how.top_p >= 0 && how.top_p <= 1))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "a top_p of %g; give 0 (all) to 1", how.top_p);
  return sq::choose(session, logits, count, how, sequence, step, token);
}
