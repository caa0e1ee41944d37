/// The peaks of this machine, measured: what a kernel's rate is compared with.
#ifndef SQ_TOOLS_SQ_BENCH_MACHINE_H
#define SQ_TOOLS_SQ_BENCH_MACHINE_H

#include <string>

namespace sq {

struct Machine {
  int threads = 0;
  double flops = 0;              // f32 multiply-adds from registers, operations/s, all threads
  double read = -1, triad = -1;  // bytes/s from memory; -1 when there was no memory to measure
  double bandwidth() const { return read > triad ? read : triad; }
};

/// Measures for about 0.3 s with the vectors of CPU level `level` (512 bits,
/// from "avx512" on, else 256). `read` sums one array, `triad` computes
/// a = b + s c (McCalpin's STREAM, which counts 12 bytes an element); the
/// arrays are four times as large as the last-level cache.
Machine measureMachine(const std::string &level, int threads);

} // namespace sq

#endif
