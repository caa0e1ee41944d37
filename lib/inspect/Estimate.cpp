#include "lib/inspect/Inspect.h"

#include <chrono>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Threading.h"

#include "codegen/host/HostTarget.h"

using namespace llvm;
using namespace sq;
using namespace sq::inspect;

Estimate inspect::estimate(const std::vector<Kernel> &kernels, const DimChoice &dims, int threads) {
  Estimate result;
  result.level = bestHostLevel();
  if (result.level.empty())
    return result;
  if (threads == 0)
    threads = hardware_concurrency().compute_thread_count();
  auto start = std::chrono::steady_clock::now();
  result.machine = measureMachine(result.level, threads, Effort::Quick);
  result.measured = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const Kernel &kernel : kernels) {
    double flops = dims.evaluate(kernel.flops), reads = dims.evaluate(kernel.reads), writes = dims.evaluate(kernel.writes);
    if (flops < 0 || reads < 0 || writes < 0 || result.machine.bandwidth() <= 0) {
      result.kernels.push_back(-1);
      ++result.unknown;
      continue;
    }
    double arithmetic = flops / result.machine.flops, memory = (reads + writes) / result.machine.bandwidth();
    result.kernels.push_back(std::max(arithmetic, memory));
    result.seconds += result.kernels.back();
    if (arithmetic >= memory)
      result.arithmetic += arithmetic;
  }
  return result;
}

double View::total(std::string Kernel::*formula) const {
  double sum = 0;
  for (const Kernel &kernel : program().kernels)
    sum += std::max(dims.evaluate(kernel.*formula), 0.0);
  return sum;
}

std::vector<size_t> View::bySeconds() const {
  std::vector<size_t> order(program().kernels.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  if (estimate && !estimate->kernels.empty())
    sort(order, [&](size_t a, size_t b) {
      return std::pair(-estimate->kernels[a], a) < std::pair(-estimate->kernels[b], b);
    });
  return order;
}

std::string inspect::typeText(const ManifestTensor &tensor) {
  std::string text;
  for (const ManifestDim &dim : tensor.dims)
    text += (text.empty() ? "" : ", ") +
            (dim.min == dim.max ? std::to_string(dim.min) : dim.name.empty() ? "?" : dim.name);
  return tensor.dtype + (tensor.dims.empty() ? "" : "[" + text + "]");
}

std::vector<std::string> inspect::dimTexts(const std::vector<ManifestTensor> &inputs) {
  std::vector<std::string> texts;
  for (const ManifestTensor &input : inputs)
    for (auto [axis, dim] : enumerate(input.dims)) {
      if (dim.min == dim.max)
        continue;
      std::string text = dimName(input, axis) + ": " + std::to_string(dim.min) +
                         (dim.max == INT64_MAX ? " and more" : " to " + std::to_string(dim.max));
      if (!is_contained(texts, text))
        texts.push_back(std::move(text));
    }
  return texts;
}

std::string inspect::machineText(const Estimate &estimate) {
  const Machine &machine = estimate.machine;
  return formatv("{0:f0} Gflop/s in f32 and {1:f1} GB/s from memory ({2} thread{3}, {4}), measured in {5:f2} s",
                 machine.flops / 1e9, machine.bandwidth() / 1e9, machine.threads, machine.threads == 1 ? "" : "s",
                 estimate.level, estimate.measured);
}
