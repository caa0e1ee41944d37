/// Comparing an output with what was expected.
#ifndef SQ_LIB_RUN_COMPARE_H
#define SQ_LIB_RUN_COMPARE_H

#include "lib/tensorio/Tensor.h"

namespace sq {

/// An element fails only when it exceeds both. Negative: the default, which is
/// 1e-3 relative and 1e-5 absolute for floats and equality for integers.
struct Tolerance {
  double relative = -1, absolute = -1;
};

struct Comparison {
  bool passed = false;
  std::string text; // "max abs 2.1e-06 at [0,3,17], max rel 0.0004 at [0,0,2]"
};

/// Shapes must be equal; types only both floats or both integers. NaN equals
/// NaN, an infinity itself. The relative difference is |a - e| / |e|.
Comparison compare(const Tensor &actual, const Tensor &expected, Tolerance tolerance);

} // namespace sq

#endif
