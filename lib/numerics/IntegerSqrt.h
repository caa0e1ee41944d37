/// Integer square root.
#ifndef SQ_NUMERICS_INTEGERSQRT_H
#define SQ_NUMERICS_INTEGERSQRT_H

#include <cstdint>

namespace sq::numerics {

/// floor(sqrt(n)), by Newton's method from 2^ceil(bits / 2) downwards (Kim et al. 2021, algorithm
/// 4). `updates`, when given, gets the number of steps that lowered the value: at most 5 for 32
/// bits and 6 for 64, since the first guess is at most twice the root and the relative error goes
/// 1, 1/4, 1/40, 3e-4, 5e-8, 1e-15; what is then left to correct is one unit at most.
uint64_t integerSqrt(uint64_t n, int *updates = nullptr);

} // namespace sq::numerics

#endif
