#include <cmath>

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include "lib/diff/Diff.h"

using namespace llvm;
using namespace sq;
using namespace sq::diff;

static std::string number(double value, const char *format) {
  if (!std::isfinite(value))
    return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

static std::string titleOf(const Row &row) {
  return std::string(row.isNode ? "node '" : "output '") + row.name + "'" + (row.op.empty() ? "" : " (" + row.op + ")");
}

static void printRow(const Row &row, bool parted, raw_ostream &os) {
  os << formatv("{0} {1,8} {2,11} {3,10}  {4}{5}", parted ? '*' : ' ', number(row.sqnr(), "%.1f"),
                row.mismatch.empty() ? number(row.cosine(), "%.8f") : "-",
                row.mismatch.empty() ? number(row.maxAbs, "%.3g") : "-", row.name,
                row.op.empty() ? "" : " (" + row.op + ")");
  if (!row.mismatch.empty())
    os << " shapes " << row.mismatch;
  os << '\n';
}

void diff::printText(const Result &result, const Limits &limits, int64_t top, raw_ostream &os) {
  std::string limit = number(limits.minSqnr, "%g") + " dB";
  if (limits.maxAbs)
    limit += ", max abs " + number(*limits.maxAbs, "%g");
  if (const Row *row = result.firstParting(limits)) {
    os << "parts at " << titleOf(*row) << ": ";
    if (row->mismatch.empty())
      os << "sqnr " << number(row->sqnr(), "%.1f") << " dB, cosine " << number(row->cosine(), "%.8f") << ", max abs "
         << number(row->maxAbs, "%.3g");
    else
      os << "shapes " << row->mismatch;
    os << "; limit " << limit << '\n';
  } else {
    os << "no part: all " << (result.nodes.empty() ? "outputs" : "nodes and outputs") << " within " << limit << '\n';
  }
  os << formatv("  {0,8} {1,11} {2,10}  {3}\n", "sqnr dB", "cosine", "max abs", result.nodes.empty() ? "output" : "node");
  std::vector<const Row *> nodes;
  for (const Row &row : result.nodes)
    nodes.push_back(&row);
  if (top) {
    // Neighbours in one vector: the address is the place in the model.
    sort(nodes, [](const Row *a, const Row *b) { return std::pair(a->sqnr(), a) < std::pair(b->sqnr(), b); });
    nodes.resize(std::min<size_t>(nodes.size(), top));
  }
  for (const Row *row : nodes)
    printRow(*row, limits.exceededBy(*row), os);
  if (nodes.size() < result.nodes.size())
    os << "  (the worst " << nodes.size() << " of " << result.nodes.size() << " nodes)\n";
  if (!result.nodes.empty() && !result.outputs.empty())
    os << formatv("  {0,8} {1,11} {2,10}  output\n", "", "", "");
  for (const Row &row : result.outputs)
    printRow(row, limits.exceededBy(row), os);
}

/// JSON has no infinities: null, and "equal" says which.
static json::Object objectOf(const Row &row) {
  auto finite = [](double value) { return std::isfinite(value) ? json::Value(value) : json::Value(nullptr); };
  json::Object object{{"name", row.name},
                      {"sqnr_db", finite(row.sqnr())},
                      {"cosine", finite(row.cosine())},
                      {"max_abs", finite(row.maxAbs)},
                      {"equal", row.mismatch.empty() && row.noise == 0},
                      {"elements", row.elements}};
  if (!row.op.empty())
    object["op"] = row.op;
  if (!row.mismatch.empty())
    object["shapes"] = row.mismatch;
  return object;
}

void diff::printJson(const Result &result, const Limits &limits, const Side &a, const Side &b, raw_ostream &os) {
  json::Array nodes, outputs;
  for (const Row &row : result.nodes)
    nodes.push_back(objectOf(row));
  for (const Row &row : result.outputs)
    outputs.push_back(objectOf(row));
  const Row *parting = result.firstParting(limits);
  json::Object limit{{"min_sqnr_db", limits.minSqnr}};
  if (limits.maxAbs)
    limit["max_abs"] = *limits.maxAbs;
  json::Object object{{"a", a.description},
                      {"b", b.description},
                      {"runs", result.runs},
                      {"limits", std::move(limit)},
                      {"parts_at", parting ? json::Value(parting->name) : json::Value(nullptr)},
                      {"nodes", std::move(nodes)},
                      {"outputs", std::move(outputs)},
                      {"only_a", json::Array(result.onlyA)},
                      {"only_b", json::Array(result.onlyB)}};
  os << formatv("{0:2}\n", json::Value(std::move(object)));
}
