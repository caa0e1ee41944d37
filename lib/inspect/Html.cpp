#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/driver/Html.h"
#include "lib/inspect/Inspect.h"

using namespace llvm;
using namespace sq;
using namespace sq::inspect;

namespace {

constexpr double kBar = 120; // pixels of the longest

struct Page {
  const View &view;
  raw_ostream &os;
  const Program &program = view.program();

  static std::string bar(double value, double most) {
    return formatv("<span class=bar style=\"width:{0:f1}px\"></span>", most > 0 ? kBar * std::max(value, 0.0) / most : 0);
  }

  void signature() {
    os << "<h2>Signature</h2><table><tr><th><th>name<th>type</tr>\n";
    for (auto [title, tensors] : {std::pair("input", &program.inputs), std::pair("output", &program.outputs)})
      for (const ManifestTensor &tensor : *tensors)
        os << formatv("<tr><td>{0}<td><code>{1}</code><td><code>{2}</code></tr>\n", title, htmlEscaped(tensor.name),
                      htmlEscaped(typeText(tensor)));
    for (const std::string &dim : dimTexts(program.inputs)) {
      auto [name, range] = StringRef(dim).rsplit(": ");
      os << formatv("<tr><td>dim<td><code>{0}</code><td>{1}</tr>\n", htmlEscaped(name), range);
    }
    os << "</table>\n";
  }

  void model(const Model &m) {
    os << formatv("<h1>{0}</h1><p>", htmlEscaped(m.path));
    if (m.irVersion)
      os << "ONNX, IR version " << m.irVersion << ". ";
    else
      os << "MLIR. ";
    for (const auto &[domain, version] : m.opsets)
      os << formatv("Opset {0} of <code>{1}</code>. ", version, htmlEscaped(domain));
    if (!m.producer.empty())
      os << "Made by " << htmlEscaped(m.producer) << ". ";
    os << (m.isAccepted() ? "sq supports all of it." : "<b>sq refuses it.</b>") << "</p>\n";
    refused(m);
    signature();
    cost();
    os << "<h2>Operators</h2><table><tr><th>operator<th class=n>nodes<th></tr>\n";
    double most = m.operators.empty() ? 1 : m.operators.front().count;
    for (const Operator &op : m.operators)
      os << formatv("<tr><td><code>{0}</code><td class=n>{1}<td>{2}{3}</tr>\n", htmlEscaped(op.name), op.count,
                    bar(op.count, most), op.refused ? "<b>refused</b>" : "");
    os << "</table>\n<h2>Parameters</h2><table><tr><th>type<th class=n>tensors<th class=n>elements<th class=n>bytes"
          "<th></tr>\n";
    for (const Parameters &p : m.parameters)
      os << formatv("<tr><td>{0}<td class=n>{1}<td class=n>{2:n}<td class=n>{3}<td>{4}</tr>\n", htmlEscaped(p.dtype), p.tensors,
                    p.elements, withUnit(p.bytes, "B"), bar(p.bytes, m.parameters.front().bytes));
    os << "</table>\n";
    kernels();
  }

  void refused(const Model &m) {
    if (m.isAccepted())
      return;
    os << "<h2>Refused</h2><table><tr><th>operator<th>reason<th class=n>nodes<th>first node</tr>\n";
    for (const Refusal &r : m.refusals)
      os << formatv("<tr><td><code>{0}</code><td>{1}<td class=n>{2}<td><code>{3}</code></tr>\n", htmlEscaped(r.op),
                    htmlEscaped(r.reason), r.nodes, htmlEscaped(r.firstNode));
    for (const std::string &problem : m.problems)
      os << formatv("<tr><td><td>{0}<td><td></tr>\n", htmlEscaped(problem));
    os << "</table><p>Nodes behind a refused one are only checked for being known; no cost is told of a refused "
          "model.</p>\n";
  }

  void artifact(const Artifact &a) {
    os << formatv("<h1>{0}</h1><p>Artifact of {1}, format {2}: {3}, of them {4} code, {5} weights, {6} manifest. "
                  "Hash of the weights <code>{7}</code>.</p>\n",
                  htmlEscaped(a.path), htmlEscaped(a.producer), a.formatVersion, withUnit(a.fileBytes, "B"),
                  withUnit(a.codeBytes, "B"), withUnit(a.weightBytes, "B"), withUnit(a.manifestBytes, "B"), a.weightsHash);
    if (a.caches)
      os << formatv("<p>{0} caches of keys and values, {1} for a token of a sequence.</p>\n", a.caches, withUnit(a.cacheBytes, "B"));
    if (a.unpackedBytes)
      os << formatv("<p>Loading makes {0} of bytes from weights of 2 to 7 bits.</p>\n", withUnit(a.unpackedBytes, "B"));
    if (a.widenedBytes)
      os << formatv("<p>A CPU without AMX makes {0} of f32 copies when loading.</p>\n", withUnit(a.widenedBytes, "B"));
    signature();
    os << "<h2>Targets</h2><table><tr><th>level<th>needs</tr>\n";
    for (const Variant &v : a.variants)
      os << formatv("<tr><td>{0}<td>{1}</tr>\n", htmlEscaped(v.level),
                    v.functions ? formatv("{0} functions, {1} of cubin, {2} of PTX", v.functions,
                                          withUnit(v.cubinBytes, "B"), withUnit(v.ptxBytes, "B"))
                                      .str()
                                : htmlEscaped(join(v.features, ", ")));
    os << "</table>\n";
    cost();
    kernels();
  }

  void cost() {
    if (program.kernels.empty())
      return;
    os << formatv("<h2>Cost at {0}</h2><table><tr><th><th class=n>sum<th>formula</tr>\n", htmlEscaped(view.dims.text()));
    auto row = [&](const char *title, std::string Kernel::*each, StringRef unit, const std::string *formula) {
      os << formatv("<tr><td>{0}<td class=n>{1}<td class=f>{2}</tr>\n", title, withUnit(view.total(each), unit),
                    formula ? htmlEscaped(*formula) : "");
    };
    row("operations", &Kernel::flops, "flop", view.model ? &view.model->flops : nullptr);
    row("read", &Kernel::reads, "B", view.model ? &view.model->reads : nullptr);
    row("written", &Kernel::writes, "B", view.model ? &view.model->writes : nullptr);
    os << "</table>\n";
    if (const Estimate *e = view.estimate; e && !e->level.empty())
      os << formatv("<p>About <b>{0}</b> on this machine by a roofline ({1}), {2:f0} % of it bound by arithmetic.</p>\n",
                    timeText(e->seconds), htmlEscaped(machineText(*e)),
                    e->seconds > 0 ? 100 * e->arithmetic / e->seconds : 0);
  }

  void kernels() {
    if (program.kernels.empty())
      return;
    const Estimate *e = view.estimate && !view.estimate->level.empty() ? view.estimate : nullptr;
    double most = 0;
    for (double seconds : e ? e->kernels : std::vector<double>())
      most = std::max(most, seconds);
    auto cell = [&](const std::string &formula, StringRef unit) {
      return formatv("<td class=n>{0}<br><span class=f>{1}</span>", withUnit(view.dims.evaluate(formula), unit),
                     htmlEscaped(formula))
          .str();
    };
    os << "<h2>Kernels</h2><p>The longest first, each with its formula; every operand is counted once.</p><table><tr>"
          "<th>time<th>kind<th>fused<th class=n>flop<th class=n>read<th class=n>written<th>ONNX nodes</tr>\n";
    for (size_t i : view.bySeconds()) {
      const Kernel &k = program.kernels[i];
      double seconds = e ? e->kernels[i] : -1;
      os << formatv("<tr><td>{0}{1}<td>{2}<td>{3}{4}{5}{6}<td><code>{7}</code></tr>\n", bar(seconds, most),
                    seconds < 0 ? "?" : timeText(seconds), htmlEscaped(k.kind), htmlEscaped(join(k.parts, ", ")),
                    cell(k.flops, "flop"), cell(k.reads, "B"), cell(k.writes, "B"), htmlEscaped(join(k.nodes, " ")));
    }
    os << "</table>\n";
  }
};

} // namespace

void inspect::printHtml(const View &view, raw_ostream &os) {
  os << kHtmlHead;
  Page page{view, os};
  if (view.model)
    page.model(*view.model);
  else
    page.artifact(*view.artifact);
  os << "</body></html>\n";
}
