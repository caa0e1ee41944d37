/* sq_lm_sample: one of the logits, by a counter-based random number. Arithmetic
 * is
 * +, -, * and / of doubles, which IEEE 754 rounds alike everywhere (no fused
 * multiply-add: see CMakeLists.txt), and comparisons. */
#include <algorithm>
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

/* exp(x) for x <= 0, to some 1e-15: 2^n exp(r) with |r| <= ln(2) / 2 and
 * Taylor's polynomial of degree 13 (its remainder is below 4e-18). */
double exponential(double x) {
  if (x < -700)
    return 0; /* beside the largest, which is exp(0), that is nothing */
  constexpr double log2e = 1.4426950408889634,
                   ln2High = 0.693147180369123816490,
                   ln2Low = 1.90821492927058770002e-10;
  int64_t n = static_cast<int64_t>(x * log2e - 0.5);
  double r =
      (x - static_cast<double>(n) * ln2High) - static_cast<double>(n) * ln2Low;
  double sum = 1;
  for (int i = 13; i > 0; --i)
    sum = 1 + sum * r / i;
  uint64_t bits = static_cast<uint64_t>(n + 1023) << 52;
  double power;
  memcpy(&power, &bits, sizeof power);
  return sum * power;
}

/* Larger logits first, of equal ones the lower id. */
struct Before {
  const float *logits;
  bool operator()(int32_t a, int32_t b) const {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  }
};

/* The candidates in order, as many as `k` and `p` leave. */
struct Candidates {
  const float *logits;
  int32_t *ids; /* [count]; the first `sorted` are in order */
  int64_t count, sorted;
  double largest, temperature;

  double weight(int64_t i) const {
    return exponential((static_cast<double>(logits[ids[i]]) - largest) /
                       temperature);
  }
  void sortTo(int64_t wanted) {
    wanted = wanted < count ? wanted : count;
    if (wanted <= sorted)
      return;
    Before before = {logits};
    if (wanted < count)
      std::nth_element(ids + sorted, ids + wanted - 1, ids + count, before);
    std::sort(ids + sorted, ids + wanted, before);
    sorted = wanted;
  }
};

sq_status choose(sq_session *session, const float *logits, int64_t count,
                 const sq_lm_sampling &how, uint64_t sequence, uint64_t step,
                 int64_t *token) {
  int64_t best = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!(logits[i] <= 3.402823466e38f)) /* NaN too */
      return fail(SQ_STATUS_INVALID_ARGUMENT, "logit %lld is %s",
                  static_cast<long long>(i),
                  logits[i] != logits[i] ? "NaN" : "infinite");
    if (logits[i] > logits[best])
      best = i;
  }
  if (logits[best] < -3.402823466e38f)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "all logits are -inf: there is no token to choose");
  if (how.temperature == 0) {
    *token = best;
    return SQ_STATUS_OK;
  }
  if (!session->sampling.reserve(static_cast<size_t>(count) * sizeof(int32_t)))
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for %lld logits",
                static_cast<long long>(count));
  Candidates c = {logits,
                  reinterpret_cast<int32_t *>(session->sampling.data),
                  count,
                  0,
                  static_cast<double>(logits[best]),
                  how.temperature};
  for (int64_t i = 0; i < count; ++i)
    c.ids[i] = static_cast<int32_t>(i);
  if (how.top_k && how.top_k < count) {
    c.sortTo(how.top_k);
    c.count = how.top_k;
  }
  double total = 0;
  for (int64_t i = 0; i < c.count; ++i)
    total += c.weight(i);
  if (how.top_p > 0 && how.top_p < 1) {
    double reached = 0, wanted = how.top_p * total;
    int64_t kept = 0;
    while (kept < c.count && reached < wanted) {
      if (kept == c.sorted)
        c.sortTo(c.sorted < 32 ? 64 : 2 * c.sorted);
      reached += c.weight(kept++);
    }
    c.count = kept ? kept : 1;
    total = reached;
  }
  /* 53 bits of [0, 1). */
  double at = static_cast<double>(philox(how.seed, step, sequence) >> 11) /
              9007199254740992.0 * total;
  int64_t chosen = 0;
  double reached = 0;
  for (int64_t i = 0; i < c.count; ++i) {
    double weight = c.weight(i);
    if (weight == 0)
      continue;
    chosen = i;
    reached += weight;
    if (reached > at)
      break;
  }
  *token = c.ids[chosen];
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
