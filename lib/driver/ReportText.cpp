#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/driver/Report.h"

using namespace llvm;
using namespace sq;

namespace {

constexpr size_t kShownWeights = 10;
constexpr size_t kShownNodes = 3;

/// "/a/MatMul, /a/Add, +3"
std::string nodeList(const ScheduledKernel &kernel) {
  size_t shown = std::min(kernel.nodes.size(), kShownNodes);
  std::string text = join(kernel.nodes.begin(), kernel.nodes.begin() + shown, ", ");
  if (shown < kernel.nodes.size())
    text += formatv(", +{0}", kernel.nodes.size() - shown).str();
  return text;
}

std::string kernelLabel(const Report &report, int index) {
  const ScheduledKernel &kernel = report.schedule.kernels[index];
  return formatv("{0} {1}{2}{3}", index, kernel.kind, kernel.nodes.empty() ? "" : " ",
                 kernel.nodes.empty() ? "" : kernel.nodes.front());
}

/// One line for each linear layer.
void writeLayers(const Report &report, raw_ostream &os) {
  if (report.layers.empty())
    return;
  os << formatv("\nPrecision of linear layers: {0}{1}\n", precisionSummary(report.layers),
                any_of(report.layers, [](const LayerDecision &l) { return l.predicted || l.measured; })
                    ? "; times int8 / f32, one thread"
                    : "");
  os << formatv("  {0,-9} {1,8} {2,-36} {3,-20} {4,-20} {5,7} {6,6} {7,6}  layer\n", "precision", "sqnr dB", "range of input",
                "predicted", "measured", "k x n", "rows", "kernel");
  for (auto [layer, kernel] : zip(report.layers, report.layerKernels)) {
    LayerText text = describe(layer);
    os << formatv("  {0,-9} {1,8} {2,-36} {3,-20} {4,-20} {5,7} {6,6} {7,6}  {8}{9}\n", text.precision, text.sqnr, text.range,
                  text.predicted, text.measured, formatv("{0}x{1}", layer.shape.k, layer.shape.n).str(), layer.shape.rows,
                  kernel < 0 ? "" : std::to_string(kernel), layer.name, text.why.empty() ? "" : ": " + text.why);
  }
}

/// What the budgets led to, and what others would.
void writeAssignment(const Report &report, raw_ostream &os) {
  if (report.assigned)
    os << "\n" << report.assigned->table << "\nBest plans for other budgets\n" << report.assigned->front;
}

} // namespace

void sq::writeReportText(const Report &report, raw_ostream &os) {
  const DimChoice &dims = report.typical;
  const Schedule &s = report.schedule;
  os << formatv("{0}: {1} kernels; for {2}: {3}, {4} read, {5} written\n", report.model,
                s.kernels.size(), dims.text(), withUnit(report.total(&ScheduledKernel::flops), "flop"),
                withUnit(report.total(&ScheduledKernel::reads), "B"),
                withUnit(report.total(&ScheduledKernel::writes), "B"));

  os << "\nKernels\n";
  os << formatv("{0,4} {1,-11} {2,-30} {3,11} {4,9} {5,9}  {6}\n", "", "kind", "fused", "flop", "read",
                "written", "nodes");
  for (auto [i, k] : enumerate(s.kernels))
    os << formatv("{0,4} {1,-11} {2,-30} {3,11} {4,9} {5,9}  {6}\n", i, k.kind, join(k.parts, ", ") + (k.isAlternative ? " (alternative)" : ""),
                  withUnit(dims.evaluate(k.flops), "flop"), withUnit(dims.evaluate(k.reads), "B"),
                  withUnit(dims.evaluate(k.writes), "B"), nodeList(k));

  if (llvm::any_of(s.kernels, [](const ScheduledKernel &k) { return k.resources.has_value(); })) {
    os << "\nDevice functions (as ptxas says)\n";
    os << formatv("{0,-24} {1,8} {2,10} {3,10} {4,8} {5,10}\n", "", "threads", "registers", "shared", "spilled", "occupancy");
    StringSet<> shown;
    for (const ScheduledKernel &k : s.kernels)
      if (k.resources && shown.insert(k.resources->function).second)
        os << formatv("{0,-24} {1,8} {2,10} {3,10} {4,8} {5,9:f0}%\n", k.resources->function, k.resources->threads,
                      k.resources->registers, withUnit(k.resources->sharedBytes, "B"),
                      withUnit(k.resources->spillBytes, "B"), 100 * k.resources->occupancy);
  }

  writeLayers(report, os);
  writeAssignment(report, os);

  os << "\nNot fused\n";
  MapVector<StringRef, std::vector<const Neighbours *>> byReason;
  for (const Neighbours &n : report.neighbours)
    byReason[n.reason].push_back(&n);
  for (auto &[reason, pairs] : byReason) {
    double bytes = 0;
    for (const Neighbours *n : pairs)
      bytes += std::max(dims.evaluate(s.buffers[n->buffer].bytes), 0.0);
    os << formatv("  {0}: {1} pair{2}, {3} between them\n", reason, pairs.size(),
                  pairs.size() == 1 ? "" : "s", withUnit(bytes, "B"));
    for (const Neighbours *n : ArrayRef(pairs).take_front(2))
      os << formatv("    {0} -> {1}\n", kernelLabel(report, n->producer), kernelLabel(report, n->consumer));
    if (pairs.size() > 2)
      os << "    ...\n";
  }
  if (report.neighbours.empty())
    os << "  nothing: no kernel reads what another one writes\n";

  os << "\nMemory\n" << formatv("  arena: {0} bytes\n", s.arenaBytes.text());
  if (s.dataArenas)
    os << formatv("  and {0} arenas whose sizes depend on data\n", s.dataArenas);
  auto show = [&](const DimChoice &choice) {
    MemoryUse use = report.use(choice);
    os << formatv("  for {0}: {1}", choice.text(), withUnit(use.arena, "B"));
    if (use.fullest < 0) {
      os << "\n";
      return;
    }
    os << formatv("; most in use at once {0}, at kernel {1}:\n", withUnit(use.live, "B"),
                  kernelLabel(report, use.fullest));
    for (int index : use.alive) {
      const ScheduledBuffer &b = s.buffers[index];
      os << formatv("    {0,9}  {1}, kernels {2} to {3}\n", withUnit(choice.evaluate(b.bytes), "B"), b.type,
                    b.first(), b.last());
    }
  };
  show(dims);
  if (report.largest)
    show(*report.largest);

  os << formatv("\nWeights\n  {0} in {1} tensors\n", withUnit(report.weightBytes, "B"), report.weights.size());
  for (int index : ArrayRef(report.weights).take_front(kShownWeights)) {
    const ScheduledBuffer &b = s.buffers[index];
    os << formatv("    {0,9}  {1} {2}\n", withUnit(dims.evaluate(b.bytes), "B"), b.type, b.name);
  }
  if (report.weights.size() > kShownWeights)
    os << formatv("    and {0} more\n", report.weights.size() - kShownWeights);
}
