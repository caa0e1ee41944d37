#include "lib/diff/Diff.h"

#include <cmath>
#include <limits>

using namespace sq;
using namespace sq::diff;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

static std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

void Row::add(const Value &a, const Value &b) {
  elements += a.elements.size();
  if (a.shape != b.shape) {
    if (mismatch.empty())
      mismatch = shapeText(a.shape) + " and " + shapeText(b.shape);
    return;
  }
  for (size_t i = 0; i < a.elements.size(); ++i) {
    double x = a.elements[i], y = b.elements[i];
    bool same = x == y || (std::isnan(x) && std::isnan(y));
    if (same && !std::isfinite(x))
      continue; // masks of -inf: neither signal nor noise
    double difference = same ? 0 : std::fabs(y - x);
    if (!std::isfinite(difference)) {
      maxAbs = noise = kInfinity;
      continue;
    }
    maxAbs = std::max(maxAbs, difference);
    noise += difference * difference;
    signal += x * x;
    square += y * y;
    product += x * y;
  }
}

double Row::sqnr() const {
  if (!mismatch.empty())
    return -kInfinity;
  return noise == 0 ? kInfinity : 10 * std::log10(signal / noise);
}

double Row::cosine() const {
  if (signal == 0 || square == 0)
    return signal == square ? 1 : 0;
  return product / std::sqrt(signal) / std::sqrt(square);
}

bool Limits::exceededBy(const Row &row) const {
  return row.sqnr() < minSqnr || (maxAbs && row.maxAbs > *maxAbs);
}

void Result::add(const std::vector<Value> &a, const std::vector<Value> &b) {
  std::map<std::pair<bool, std::string>, const Value *> others;
  for (const Value &value : b)
    others[{value.isNode, value.name}] = &value;
  for (const Value &value : a) {
    auto other = others.find({value.isNode, value.name});
    if (other == others.end()) {
      if (runs == 0)
        onlyA.push_back(value.name);
      continue;
    }
    std::vector<Row> &rows = value.isNode ? nodes : outputs;
    auto [place, fresh] = places.try_emplace(other->first, std::pair(value.isNode, rows.size()));
    if (fresh) {
      Row row;
      row.name = value.name;
      row.op = value.op.empty() ? other->second->op : value.op;
      row.isNode = value.isNode;
      rows.push_back(std::move(row));
    }
    rows[place->second.second].add(value, *other->second);
    others.erase(other);
  }
  if (runs == 0)
    for (const auto &[key, value] : others)
      onlyB.push_back(value->name);
  ++runs;
}

const Row *Result::firstParting(const Limits &limits) const {
  for (const std::vector<Row> *rows : {&nodes, &outputs})
    for (const Row &row : *rows)
      if (limits.exceededBy(row))
        return &row;
  return nullptr;
}
