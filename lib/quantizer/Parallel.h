/// A loop over several threads.
#ifndef SQ_LIB_QUANTIZER_PARALLEL_H
#define SQ_LIB_QUANTIZER_PARALLEL_H

#include <cstdint>
#include <functional>

namespace sq::quantizer {

/// Calls body(from, to) for parts of [0, count), of `grain` indices each but
/// the last, on `threads` threads (0: one for each core), the calling one among
/// them. What lies in a part does not depend on the number of threads.
void parallelFor(int64_t count, int64_t grain, int threads,
                 const std::function<void(int64_t from, int64_t to)> &body);

} // namespace sq::quantizer

#endif
