#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>
#include <tuple>

#include "lib/inspect/Inspect.h"

using namespace llvm;
using namespace sq;
using namespace sq::inspect;

namespace {

constexpr size_t kShownKernels = 10;
constexpr size_t kShownNodes = 3;

/// "1 node", "2 nodes".
std::string counted(int64_t count, StringRef what) { return formatv("{0} {1}{2}", count, what, count == 1 ? "" : "s"); }

struct Page {
  const View &view;
  raw_ostream &os;
  const Program &program = view.program();

  void signature() {
    os << "\nSignature\n";
    for (auto [title, tensors] : {std::pair("input ", &program.inputs), std::pair("output", &program.outputs)})
      for (const ManifestTensor &tensor : *tensors)
        os << formatv("  {0}  {1}: {2}\n", title, tensor.name, typeText(tensor));
    for (const std::string &dim : dimTexts(program.inputs))
      os << "  dim     " << dim << '\n';
  }

  void model(const Model &m) {
    os << m.path << ':';
    if (m.irVersion)
      os << " ONNX, IR version " << m.irVersion;
    else
      os << " MLIR";
    for (const auto &[domain, version] : m.opsets)
      os << ", opset " << version << (domain == "ai.onnx" ? "" : " of " + domain);
    os << (m.producer.empty() ? "" : ", made by " + m.producer) << '\n';
    signature();

    int64_t tensors = 0, elements = 0, bytes = 0;
    for (const Parameters &p : m.parameters) {
      tensors += p.tensors;
      elements += p.elements;
      bytes += p.bytes;
    }
    os << formatv("\nParameters: {0} in {1}, {2}\n", StringRef(withUnit(elements, "")).rtrim(), counted(tensors, "tensor"), withUnit(bytes, "B"));
    for (const Parameters &p : m.parameters)
      os << formatv("  {0,-6} {1,12:n} in {2,-12} {3,10}\n", p.dtype, p.elements, counted(p.tensors, "tensor"), withUnit(p.bytes, "B"));

    int64_t nodes = 0;
    for (const Operator &op : m.operators)
      nodes += op.count;
    os << formatv("\nOperators: {0} of {1}, {2}\n", counted(nodes, "node"), counted(m.operators.size(), "kind"),
                  m.isAccepted() ? "all supported" : "not all supported");
    for (const Operator &op : m.operators)
      os << formatv("  {0,6}  {1}{2}\n", op.count, op.name, op.refused ? "  REFUSED" : "");
    if (m.isAccepted())
      return;
    os << "\nRefused\n";
    for (const Refusal &r : m.refusals)
      os << formatv("  {0}: {1} ({2}, {3}'{4}')\n", r.op, r.reason, counted(r.nodes, "node"),
                    r.nodes == 1 ? "" : "the first is ", r.firstNode);
    for (const std::string &problem : m.problems)
      os << "  " << problem << '\n';
    if (!m.refusals.empty())
      os << "  Nodes behind a refused one are only checked for being known.\n";
    os << "  No cost is told of a refused model.\n";
  }

  void artifact(const Artifact &a) {
    os << formatv("{0}: artifact of {1}, format {2}\n", a.path, a.producer, a.formatVersion);
    signature();
    os << formatv("\nSize: {0} = {1} of code, {2} of weights, {3} of manifest\n", withUnit(a.fileBytes, "B"),
                  withUnit(a.codeBytes, "B"), withUnit(a.weightBytes, "B"), withUnit(a.manifestBytes, "B"));
    os << "  weights' hash " << a.weightsHash << '\n';
    if (a.caches)
      os << formatv("  {0} caches of keys and values, {1} for a token of a sequence\n", a.caches, withUnit(a.cacheBytes, "B"));
    if (a.unpackedBytes)
      os << formatv("  loading makes {0} of bytes from weights of 2 to 7 bits\n", withUnit(a.unpackedBytes, "B"));
    if (a.widenedBytes)
      os << formatv("  a CPU without AMX makes {0} of f32 copies when loading\n", withUnit(a.widenedBytes, "B"));
    os << "\nTargets\n";
    for (const Variant &v : a.variants) {
      os << "  " << v.level;
      if (v.functions)
        os << formatv(": {0} functions, {1} of cubin, {2} of PTX", v.functions, withUnit(v.cubinBytes, "B"),
                      withUnit(v.ptxBytes, "B"));
      else
        os << ": needs " << join(v.features, ", ");
      os << '\n';
    }
  }

  void cost() {
    if (program.kernels.empty())
      return;
    os << formatv("\nCost at {0}: {1}, {2} read, {3} written in {4}, every operand counted once\n",
                  view.dims.text(), withUnit(view.total(&Kernel::flops), "flop"),
                  withUnit(view.total(&Kernel::reads), "B"), withUnit(view.total(&Kernel::writes), "B"),
                  counted(program.kernels.size(), "kernel"));
    if (view.model)
      os << "  flop    " << view.model->flops << "\n  read    " << view.model->reads << "\n  written "
         << view.model->writes << '\n';
    const Estimate *e = view.estimate;
    if (!e || e->level.empty()) {
      os << "  no estimate of the time: this CPU has no level that sq compiles for\n";
      return;
    }
    os << formatv("  about {0} on this machine by a roofline, {1:f0} % of it bound by arithmetic\n", timeText(e->seconds),
                  e->seconds > 0 ? 100 * e->arithmetic / e->seconds : 0);
    os << "  (" << machineText(*e) << ")\n";
    if (e->unknown)
      os << "  without " << counted(e->unknown, "kernel") << " whose size depends on data\n";
    os << formatv("\n  {0,10} {1,6} {2,11} {3,9} {4,9}  {5}\n", "time", "%", "flop", "read", "written", "kernel: nodes");
    std::vector<Alike> groups = groupAlike();
    for (const Alike &group : ArrayRef(groups).take_front(kShownKernels)) {
      const Kernel &k = program.kernels[group.first];
      size_t shown = std::min(k.nodes.size(), kShownNodes);
      os << formatv("  {0,10} {1,6} {2,11} {3,9} {4,9}  {5}: {6}{7}{8}\n", group.seconds < 0 ? "?" : timeText(group.seconds),
                    group.seconds < 0 || e->seconds <= 0 ? "?" : formatv("{0:f1}", 100 * group.seconds / e->seconds).str(),
                    withUnit(view.dims.evaluate(k.flops), "flop"), withUnit(view.dims.evaluate(k.reads), "B"),
                    withUnit(view.dims.evaluate(k.writes), "B"), k.kind,
                    join(k.nodes.begin(), k.nodes.begin() + shown, ", "),
                    shown < k.nodes.size() ? formatv(", +{0}", k.nodes.size() - shown).str() : "",
                    group.count > 1 ? formatv(" ({0} alike, each)", group.count).str() : "");
    }
    if (groups.size() > kShownKernels)
      os << "  (and " << groups.size() - kShownKernels << " more rows; --html and --json show every kernel)\n";
  }

  /// Kernels of equal kind and work: the layers of a model. The longest time first.
  struct Alike {
    size_t first;
    int count;
    double seconds; // of all; -1 when unknown
  };
  std::vector<Alike> groupAlike() const {
    std::map<std::tuple<std::string, std::string, std::string, std::string>, size_t> places;
    std::vector<Alike> groups;
    for (size_t i : view.bySeconds()) {
      const Kernel &k = program.kernels[i];
      auto [place, fresh] = places.try_emplace({k.kind, k.flops, k.reads, k.writes}, groups.size());
      if (fresh)
        groups.push_back({i, 0, 0});
      Alike &group = groups[place->second];
      ++group.count;
      double seconds = view.estimate->kernels[i];
      group.seconds = seconds < 0 || group.seconds < 0 ? -1 : group.seconds + seconds;
    }
    sort(groups, [](const Alike &a, const Alike &b) {
      return std::pair(-a.seconds, a.first) < std::pair(-b.seconds, b.first);
    });
    return groups;
  }
};

} // namespace

void inspect::printText(const View &view, raw_ostream &os) {
  Page page{view, os};
  if (view.model)
    page.model(*view.model);
  else
    page.artifact(*view.artifact);
  page.cost();
}
