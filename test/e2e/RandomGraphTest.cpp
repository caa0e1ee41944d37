/// Compiled random models against the oracle, each at several shapes.
#include "test/e2e/Models.h"
#include "test/e2e/RandomGraph.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

using namespace sq;
using namespace sq::test;
using numerics::Tensor;

namespace {

/// SQ_SEED=1000 tries other graphs, from seed 1000 on.
void checkSeeds(unsigned from, unsigned to) {
  const char *first = std::getenv("SQ_SEED");
  unsigned base = first ? std::strtoul(first, nullptr, 10) : 0;
  for (unsigned seed = base + from; seed < base + to; ++seed) {
    RandomGraph graph = randomGraph(seed);
    TemporaryDirectory directory;
    std::string path = directory.file("random.onnxtxt");
    std::ofstream(path) << graph.text;
    CompileOptions options;
    options.levels = {"x86-64-v3"};
    options.threads = 1;
    // Small tiles, so that there are several of each kind, and remainders.
    if (seed % 2)
      options.tile = "rows=3,vectors=1,block=9,keys=5,batch=2";
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok()) << "seed " << seed << "\n" << graph.text;
    Random random(seed);
    // One session over all shapes: its memory has to follow them.
    Program program = model.open(random.integer(1, 3));
    for (auto [batch, sequence] : {std::pair(1, 1), std::pair(3, 17), std::pair(1, 5),
                                   std::pair(2, 8), std::pair(int(random.integer(1, 4)),
                                                              int(random.integer(1, 33)))}) {
      Feed feed = {{"x", random.reals({batch, sequence, graph.inputWidth})}};
      for (double &value : feed["x"].reals)
        value = numerics::roundToF32(value);
      Tensor actual = runFirst(program, feed), expected = referenceFirst(path, feed);
      double largest = 1;
      for (double value : expected.reals)
        largest = std::max(largest, std::fabs(value));
      // Ten blocks of float32 sums over up to 70 elements make about 1e-6; a
      // layer norm of nearly equal elements enlarges that by 1/sqrt(epsilon) = 32.
      EXPECT_LE(maxDifference(actual, expected), 5e-5 * largest)
          << "seed " << seed << ", " << batch << "x" << sequence << "\n" << graph.text;
      if (testing::Test::HasFailure())
        return; // one model is enough to look at
    }
  }
}

// In parts, so that they run side by side.
TEST(RandomGraph, Seeds0To19) { checkSeeds(0, 20); }
TEST(RandomGraph, Seeds20To39) { checkSeeds(20, 40); }
TEST(RandomGraph, Seeds40To59) { checkSeeds(40, 60); }

} // namespace
