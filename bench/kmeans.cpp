// Time of exact weighted k-means of the rows of a weight, all cores: seconds
// for the weights that are asked for (default: 100 million) and microseconds of
// CPU time a weight.
//
//   ninja -C build sq-bench-kmeans && build/bin/sq-bench-kmeans [MILLIONS]

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

#include "lib/quantizer/FitLevels.h"

using namespace sq::quantizer;

int main(int argc, char **argv) {
  double millions = argc > 1 ? std::atof(argv[1]) : 100;
  if (!(millions > 0) || millions > 2000) {
    std::fprintf(stderr, "sq-bench-kmeans: expected a number of millions of "
                         "weights from 0 to 2000\n");
    return 2;
  }
  std::printf("%8s %8s %12s %14s\n", "row", "entries", "seconds",
              "us a weight");
  for (int64_t k : {384, 2048, 4096, 11008})
    for (int bits : {3, 4}) {
      int64_t n = std::max<int64_t>(1, millions * 1e6 / k);
      std::mt19937 random(1);
      std::normal_distribution<float> normal;
      // Rows repeat after a while: making numbers must not take longer than
      // clustering them.
      std::vector<float> some(k * 64), w(n * k), f(n * k);
      for (float &x : some)
        x = normal(random);
      for (int64_t i = 0; i < n * k; ++i) {
        w[i] = some[i % some.size()];
        f[i] = some[(i + 1) % some.size()] * some[(i + 1) % some.size()];
      }
      CompressedWeight weight =
          CompressedWeight::make({GridKind::Table, bits}, n, k);
      auto start = std::chrono::steady_clock::now();
      std::clock_t cpu = std::clock();
      fitTables(weight, w.data(), {nullptr, f.data()}, {}, /*threads=*/0);
      double used = double(std::clock() - cpu) / CLOCKS_PER_SEC;
      double seconds = std::chrono::duration<double>(
                           std::chrono::steady_clock::now() - start)
                           .count();
      std::printf("%8lld %8d %12.2f %14.3f\n", static_cast<long long>(k),
                  1 << bits, seconds, used / double(n * k) * 1e6);
    }
}
