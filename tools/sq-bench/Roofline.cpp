#include "tools/sq-bench/Roofline.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace sq {
namespace {

constexpr size_t kShownNodes = 3;

std::string kindOf(const Kernel &kernel) { return kernel.name.substr(0, kernel.name.find(':')); }

/// Rates and shares of a row; NaN where they are unknown.
struct Rates {
  double share, gflops, ofPeak, gigabytes, ofBandwidth;

  Rates(const KernelRow &row, double total, const Machine &machine) {
    const KernelWork &work = row.kernel.work;
    double times = row.alike / row.seconds; // per second; a chunked kernel's work is that of all calls
    share = total > 0 ? 100 * row.seconds / total : NAN;
    gflops = work.flops < 0 ? NAN : 1e-9 * work.flops * times;
    ofPeak = machine.flops > 0 ? 100e9 * gflops / machine.flops : NAN;
    gigabytes = work.bytes() < 0 ? NAN : 1e-9 * work.bytes() * times;
    ofBandwidth = machine.bandwidth() > 0 ? 100e9 * gigabytes / machine.bandwidth() : NAN;
  }
};

double totalOf(const std::vector<KernelRow> &rows) {
  double total = 0;
  for (const KernelRow &row : rows)
    total += row.seconds;
  return total;
}

std::string number(double value, const char *format, const char *missing) {
  if (!std::isfinite(value))
    return missing;
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

} // namespace

std::vector<KernelRow> groupAlike(std::vector<KernelRow> rows) {
  std::vector<KernelRow> groups;
  for (KernelRow &row : rows) {
    auto same = [&](const KernelRow &group) {
      return kindOf(group.kernel) == kindOf(row.kernel) && group.kernel.work == row.kernel.work;
    };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) {
      groups.push_back(std::move(row));
      continue;
    }
    group->calls += row.calls;
    group->seconds += row.seconds;
    ++group->alike;
  }
  std::sort(groups.begin(), groups.end(),
            [](const KernelRow &a, const KernelRow &b) { return a.seconds > b.seconds; });
  return groups;
}

void printRoofline(const std::vector<KernelRow> &rows, const Machine &machine, const std::string &level) {
  if (machine.threads == 0)
    std::printf("  %s\n", level.c_str());
  else
    std::printf("  this machine, %d thread%s: %s Gflop/s (f32, registers, %s), %s GB/s read, %s GB/s triad\n",
              machine.threads, machine.threads == 1 ? "" : "s", number(1e-9 * machine.flops, "%.1f", "?").c_str(),
              level.c_str(), number(machine.read < 0 ? NAN : 1e-9 * machine.read, "%.1f", "?").c_str(),
              number(machine.triad < 0 ? NAN : 1e-9 * machine.triad, "%.1f", "?").c_str());
  std::printf("  %6s %9s %6s %9s %6s %8s %6s  %s\n", "calls", "ms", "%", "Gflop/s", "% peak", "GB/s",
              "% band", "kernel: nodes");
  double total = totalOf(rows);
  for (const KernelRow &row : rows) {
    Rates r(row, total, machine);
    std::string nodes;
    const std::vector<std::string> &names = row.kernel.nodes;
    for (size_t i = 0; i < names.size() && i < kShownNodes; ++i)
      nodes += (i ? ", " : " ") + names[i];
    if (names.size() > kShownNodes)
      nodes += ", +" + std::to_string(names.size() - kShownNodes);
    if (row.alike > 1)
      nodes += " (" + std::to_string(row.alike) + " alike)";
    std::printf("  %6.4g %9.4g %6s %9s %6s %8s %6s  %s:%s\n", row.calls, 1e3 * row.seconds,
                number(r.share, "%.1f", "-").c_str(), number(r.gflops, "%.1f", "-").c_str(),
                number(r.ofPeak, "%.1f", "-").c_str(), number(r.gigabytes, "%.2f", "-").c_str(),
                number(r.ofBandwidth, "%.1f", "-").c_str(), kindOf(row.kernel).c_str(), nodes.c_str());
  }
}

void printRooflineJson(const std::vector<KernelRow> &rows, const Machine &machine,
                       const std::string &level) {
  auto json = [](double value) { return number(value, "%.6g", "null"); };
  auto known = [](double value) { return number(value < 0 ? NAN : value, "%.15g", "null"); };
  std::printf("\"machine\": {\"threads\": %d, \"level\": %s, \"gflop/s\": %s, \"read_gb/s\": %s, "
              "\"triad_gb/s\": %s}, \"kernels\": [",
              machine.threads, quoted(level).c_str(),
              json(machine.flops > 0 ? 1e-9 * machine.flops : NAN).c_str(),
              json(machine.read < 0 ? NAN : 1e-9 * machine.read).c_str(),
              json(machine.triad < 0 ? NAN : 1e-9 * machine.triad).c_str());
  double total = totalOf(rows);
  const char *separator = "";
  for (const KernelRow &row : rows) {
    Rates r(row, total, machine);
    const KernelWork &work = row.kernel.work;
    std::printf("%s{\"name\": %s, \"calls\": %.6g, \"ms\": %.6g, \"percent\": %s, \"flops\": %s, "
                "\"bytes_read\": %s, \"bytes_written\": %s, \"gflop/s\": %s, \"percent_of_peak\": %s, "
                "\"gb/s\": %s, \"percent_of_bandwidth\": %s, \"nodes\": %s}",
                separator, quoted(row.kernel.name).c_str(), row.calls, 1e3 * row.seconds,
                json(r.share).c_str(), known(work.flops).c_str(), known(work.read).c_str(),
                known(work.written).c_str(), json(r.gflops).c_str(), json(r.ofPeak).c_str(),
                json(r.gigabytes).c_str(), json(r.ofBandwidth).c_str(), quoted(row.kernel.nodes).c_str());
    separator = ", ";
  }
  std::printf("]");
}

} // namespace sq
