#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/driver/Html.h"
#include "lib/driver/Report.h"

using namespace llvm;
using namespace sq;

namespace {

struct Page {
  const Report &report;
  raw_ostream &os;
  const Schedule &s = report.schedule;
  const DimChoice &dims = report.typical;

  /// A formula with its value.
  std::string sized(const std::string &formula, StringRef unit) {
    return formatv("{0}<br><span class=f>{1}</span>", withUnit(dims.evaluate(formula), unit), htmlEscaped(formula));
  }

  std::string link(int kernel) {
    return formatv("<a href=\"#k{0}\">{0} {1}</a>", kernel, htmlEscaped(s.kernels[kernel].kind));
  }

  void summary() {
    os << formatv("<h1>{0}</h1><p>{1} kernels, {2} of weights, CPU levels {3}. For {4}: {5}, {6} read, {7} "
                  "written, every operand counted once.</p>\n",
                  htmlEscaped(report.model), s.kernels.size(), withUnit(report.weightBytes, "B"),
                  htmlEscaped(join(report.levels, ", ")), htmlEscaped(dims.text()),
                  withUnit(report.total(&ScheduledKernel::flops), "flop"),
                  withUnit(report.total(&ScheduledKernel::reads), "B"),
                  withUnit(report.total(&ScheduledKernel::writes), "B"));
  }

  void kernels() {
    double total = std::max(report.total(&ScheduledKernel::flops), 1.0), most = 1;
    for (const ScheduledKernel &k : s.kernels)
      most = std::max(most, dims.evaluate(k.flops));
    os << "<h2>Kernels</h2><table><tr><th class=n>#<th>kind<th>fused<th class=n>flop<th>share<th class=n>read"
          "<th class=n>written<th>ONNX nodes</tr>\n";
    for (auto [i, k] : enumerate(s.kernels)) {
      double flops = std::max(dims.evaluate(k.flops), 0.0);
      os << formatv("<tr id=k{0}><td class=n>{0}<td>{1}<td>{2}<td class=n>{3}<td><span class=bar style=\"width:{4:f1}px\">"
                    "</span>{5:f1}&nbsp;%<td class=n>{6}<td class=n>{7}<td><code>{8}</code></tr>\n",
                    i, htmlEscaped(k.kind), htmlEscaped(join(k.parts, ", ")), sized(k.flops, "flop"), 60 * flops / most,
                    100 * flops / total, sized(k.reads, "B"), sized(k.writes, "B"), htmlEscaped(join(k.nodes, " ")));
    }
    os << "</table>\n";
  }

  void layers() {
    if (report.layers.empty())
      return;
    os << formatv("<h2>Precision</h2><p>Linear layers: {0}. SQNR is what few bits are expected to leave of "
                  "the layer's result, range what its input is rounded in, times are int8 / f32 of one thread.</p>"
                  "<table id=precision><thead><tr><th>layer<th class=n>k x n<th>precision<th>range of input<th class=n>SQNR dB"
                  "<th class=n>rows<th class=n>predicted<th class=n>measured<th>kernel<th>why</tr></thead><tbody>\n",
                  precisionSummary(report.layers));
    for (auto [layer, kernel] : zip(report.layers, report.layerKernels)) {
      LayerText text = describe(layer);
      os << formatv("<tr class={0}><td><code>{1}</code><td class=n>{2} x {3}<td>{4}<td>{5}<td class=n>{6}<td class=n>{7}"
                    "<td class=n>{8}<td class=n>{9}<td>{10}<td>{11}</tr>\n",
                    text.precision, htmlEscaped(join(layer.nodes, " ")), layer.shape.k, layer.shape.n, text.precision,
                    htmlEscaped(text.range), text.sqnr, layer.shape.rows, text.predicted, text.measured,
                    kernel < 0 ? "" : link(kernel), htmlEscaped(text.why));
    }
    os << "</tbody></table>\n";
  }

  void assignment() {
    if (!report.assigned)
      return;
    os << "<h2>Bits within budgets</h2>" << report.assigned->svg << "<pre>" << htmlEscaped(report.assigned->table)
       << "</pre><h3>Best plans for other budgets</h3><pre>" << htmlEscaped(report.assigned->front) << "</pre>\n";
  }

  void notFused() {
    os << "<h2>Not fused</h2><p>Pairs of kernels with a buffer between them.</p>"
          "<table><tr><th>from<th>to<th class=n>bytes<th>why</tr>\n";
    for (const Neighbours &n : report.neighbours)
      os << formatv("<tr><td>{0}<td>{1}<td class=n>{2}<td>{3}</tr>\n", link(n.producer), link(n.consumer),
                    withUnit(dims.evaluate(s.buffers[n.buffer].bytes), "B"), htmlEscaped(n.reason));
    os << "</table>\n";
  }

  /// The arena over the run: kernels to the right, addresses upwards.
  void map(const MemoryUse &use) {
    if (!(use.arena > 0) || s.kernels.empty())
      return;
    double width = 1000.0 / s.kernels.size(), height = 300 / use.arena;
    os << "<svg viewBox=\"0 0 1000 300\" role=img aria-label=\"arena\">";
    for (const ScheduledBuffer &b : s.buffers) {
      double bytes = dims.evaluate(b.bytes), offset = dims.evaluate(b.offset);
      if (b.kind != ScheduledBuffer::Arena || bytes < 0 || offset < 0)
        continue;
      os << formatv("<rect x=\"{0:f2}\" y=\"{1:f2}\" width=\"{2:f2}\" height=\"{3:f2}\" fill=\"{4}\" fill-opacity=\"0.6\" "
                    "stroke=\"#fff\" stroke-width=\"0.5\"><title>{5}: {6}, kernels {7} to {8}</title></rect>",
                    b.first() * width, 300 - (offset + bytes) * height, (b.last() - b.first() + 1) * width,
                    bytes * height, b.first() <= use.fullest && use.fullest <= b.last() ? "#b5654a" : "#4a7fb5",
                    withUnit(bytes, "B"), htmlEscaped(b.type), b.first(), b.last());
    }
    os << "</svg>\n";
  }

  void memory(const DimChoice &choice, bool drawn) {
    MemoryUse use = report.use(choice);
    os << formatv("<p>For {0}: arena {1}", htmlEscaped(choice.text()), withUnit(use.arena, "B"));
    if (use.fullest < 0) {
      os << ".</p>\n";
      return;
    }
    os << formatv("; most in use at once {0}, while kernel {1} runs:</p>\n<table><tr><th class=n>bytes<th>type"
                  "<th>made by<th>last used by</tr>\n",
                  withUnit(use.live, "B"), link(use.fullest));
    for (int index : use.alive) {
      const ScheduledBuffer &b = s.buffers[index];
      os << formatv("<tr><td class=n>{0}<td><code>{1}</code><td>{2}<td>{3}</tr>\n",
                    withUnit(choice.evaluate(b.bytes), "B"), htmlEscaped(b.type), link(b.first()), link(b.last()));
    }
    os << "</table>\n";
    if (drawn) {
      os << "<p>Each box is a buffer: kernels from left to right, addresses upwards; what is alive at the "
            "fullest moment is red.</p>\n";
      map(use);
    }
  }

  void weights() {
    os << formatv("<h2>Weights</h2><p>{0} in {1} tensors.</p><table><tr><th class=n>bytes<th>stored as"
                  "<th>name<th>used by</tr>\n",
                  withUnit(report.weightBytes, "B"), report.weights.size());
    for (int index : report.weights) {
      const ScheduledBuffer &b = s.buffers[index];
      std::string users;
      for (int kernel : b.readers)
        users += (users.empty() ? "" : ", ") + link(kernel);
      os << formatv("<tr><td class=n>{0}<td><code>{1}</code><td><code>{2}</code><td>{3}</tr>\n",
                    withUnit(dims.evaluate(b.bytes), "B"), htmlEscaped(b.type), htmlEscaped(b.name), users);
    }
    os << "</table>\n";
  }
};

} // namespace

void sq::writeReportHtml(const Report &report, raw_ostream &os) {
  os << kHtmlHead;
  Page page{report, os};
  page.summary();
  page.kernels();
  page.layers();
  page.assignment();
  page.notFused();
  os << formatv("<h2>Memory</h2><p>Arena: <code>{0}</code> bytes.</p>\n",
                htmlEscaped(report.schedule.arenaBytes.text()));
  if (report.schedule.dataArenas)
    os << formatv("<p>And {0} arenas whose sizes depend on data.</p>\n", report.schedule.dataArenas);
  page.memory(report.typical, true);
  if (report.largest)
    page.memory(*report.largest, false);
  page.weights();
  os << "</body></html>\n";
}
