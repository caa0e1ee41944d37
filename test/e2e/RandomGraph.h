/// Random small ONNX models in ONNX's text syntax.
#ifndef SQ_TEST_E2E_RANDOMGRAPH_H
#define SQ_TEST_E2E_RANDOMGRAPH_H

#include <cstdint>
#include <string>

namespace sq::test {

struct RandomGraph {
  std::string text;   // of the model
  int64_t inputWidth; // its input is x: float[batch, sequence, inputWidth]
};

/// A chain of up to ten blocks as transformers have them (linear layers,
/// activations, norms, attention, residuals, layout changes) with odd sizes.
RandomGraph randomGraph(unsigned seed);

} // namespace sq::test

#endif
