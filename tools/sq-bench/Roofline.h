/// The profile of a run: each kernel's time beside what the machine could do.
#ifndef SQ_TOOLS_SQ_BENCH_ROOFLINE_H
#define SQ_TOOLS_SQ_BENCH_ROOFLINE_H

#include "lib/run/Kernels.h"
#include "lib/machine/Machine.h"

namespace sq {

/// A launch, or in the table all launches that do the same work.
struct KernelRow {
  Kernel kernel;      // of several: the first
  double calls = 0;   // per run
  double seconds = 0; // per run, all calls
  int alike = 1;      // launches in this row
};

/// Launches of the same kind and work become one row; the slowest row first.
std::vector<KernelRow> groupAlike(std::vector<KernelRow> rows);

/// `machine.threads` 0: of a device, whose peaks are unknown and whose name is
/// then `level`; the shares are left out ("-", null).
void printRoofline(const std::vector<KernelRow> &rows, const Machine &machine, const std::string &level);
/// `"machine": {...}, "kernels": [...]`; each launch has its own object.
void printRooflineJson(const std::vector<KernelRow> &rows, const Machine &machine,
                       const std::string &level);

} // namespace sq

#endif
