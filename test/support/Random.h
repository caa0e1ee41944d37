/// Random operands for property tests; the seed is printed by each failure.
#ifndef SQ_TEST_SUPPORT_RANDOM_H
#define SQ_TEST_SUPPORT_RANDOM_H

#include "lib/numerics/Tensor.h"

#include <random>

namespace sq::test {

class Random {
public:
  explicit Random(unsigned seed) : generator(seed) {}

  int64_t integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
  }
  double real() { return std::normal_distribution<double>()(generator); }

  /// Each dim in [0, limit]; a 0 is rare.
  numerics::Shape shape(int64_t rank, int64_t limit) {
    numerics::Shape shape;
    for (int64_t d = 0; d < rank; ++d)
      shape.push_back(integer(0, 19) == 0 ? 0 : integer(1, limit));
    return shape;
  }
  numerics::Tensor reals(numerics::Shape shape) {
    numerics::Tensor t = numerics::Tensor::zeros(numerics::DType::F32, std::move(shape));
    for (double &value : t.reals)
      value = real();
    return t;
  }
  numerics::Tensor integers(numerics::Shape shape, int64_t low, int64_t high) {
    numerics::Tensor t = numerics::Tensor::zeros(numerics::DType::I64, std::move(shape));
    for (int64_t &value : t.integers)
      value = integer(low, high);
    return t;
  }

private:
  std::mt19937 generator;
};

} // namespace sq::test

#endif
