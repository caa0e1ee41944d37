/// The peaks of this machine, measured: what a kernel's rate is compared with.
#ifndef SQ_LIB_MACHINE_MACHINE_H
#define SQ_LIB_MACHINE_MACHINE_H

#include <string>

namespace sq {

struct Machine {
  int threads = 0;
  double flops = 0;              // f32 multiply-adds from registers, operations/s, all threads, at the clock that they keep
  double read = -1, triad = -1;  // bytes/s from memory; -1 when not measured, or for want of memory
  double bandwidth() const { return read > triad ? read : triad; }
};

/// How long to measure: some 0.3 s, or less than 0.1 s (where no other program is in the way) without `triad`.
enum class Effort { Thorough, Quick };

/// Measures with the vectors of CPU level `level` (512 bits,
/// from "avx512" on, else 256). `read` sums one array, `triad` computes
/// a = b + s c (McCalpin's STREAM, which counts 12 bytes an element); the
/// arrays are together four times as large as the last-level cache.
Machine measureMachine(const std::string &level, int threads, Effort effort = Effort::Thorough);

/// Machine::flops alone, from `trials` of a tenth of a millisecond. One trial between the runs of a program says what the
/// core does at the clock which that program leaves it.
double measureFlops(const std::string &level, int threads, int trials);

} // namespace sq

#endif
