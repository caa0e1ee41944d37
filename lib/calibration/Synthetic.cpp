// Made-up samples, for calibration without data.

#include <algorithm>
#include <cmath>

#include "lib/calibration/Samples.h"

namespace sq::calibration {

uint64_t Random::next() {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// The bias of the product, below 2^-32 for any table, does not matter here.
int64_t Random::below(int64_t bound) {
  return static_cast<int64_t>((static_cast<unsigned __int128>(next()) * static_cast<uint64_t>(bound)) >> 64);
}

double Random::uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }

double Random::normal() { // Box and Muller 1958
  double radius = std::sqrt(-2 * std::log(uniform()));
  return radius * std::cos(2 * 3.14159265358979323846 * uniform());
}

namespace {

constexpr int64_t kShortest = 8, kLongest = 128;

enum class Content { Tokens, Zeros, Positions, Ones, Normal };

bool contains(const std::string &name, const char *part) { return name.find(part) != std::string::npos; }

class SyntheticSamples : public Samples {
public:
  SyntheticSamples(int64_t number, uint64_t seed, std::vector<int64_t> special)
      : number(number), seed(seed), special(std::move(special)) {}

  Status plan(const std::vector<Port> &inputs, const TableRows &tables) {
    ports = inputs;
    for (const Port &port : ports) {
      auto table = tables.find(port.name);
      rows.push_back(table == tables.end() ? 0 : table->second);
      if (isFloat(port.dtype))
        contents.push_back(contains(port.name, "mask") ? Content::Ones : Content::Normal);
      else if (contains(port.name, "mask"))
        contents.push_back(Content::Ones);
      else if (contains(port.name, "position"))
        contents.push_back(Content::Positions);
      else if (contains(port.name, "token_type") || contains(port.name, "segment"))
        contents.push_back(Content::Zeros);
      else if (rows.back())
        contents.push_back(Content::Tokens);
      else
        return Status::refused("cannot make up values of input '" + port.name + "' (" + port.describe() +
                               "): it is neither float nor an index of a table, nor a mask, position or token type by "
                               "its name; calibrate with data");
    }
    for (int64_t id : special)
      for (size_t i = 0; i < ports.size(); ++i)
        if (contents[i] == Content::Tokens && id >= rows[i])
          return Status::refused("input '" + ports[i].name + "' indexes a table of " + std::to_string(rows[i]) +
                                 " rows, which has no special token " + std::to_string(id));
    return {};
  }

  int64_t count() const override { return number; }
  int64_t joinable(int64_t) const override { return 1; } // lengths differ
  std::string title(int64_t first, int64_t) const override { return "made-up sample " + std::to_string(first); }

  std::string description() const override {
    std::string text = "made up, " + std::to_string(number) + " samples, seed " + std::to_string(seed);
    for (size_t i = 0; i < ports.size(); ++i) {
      text += "; " + ports[i].name + ": ";
      switch (contents[i]) {
      case Content::Tokens:
        text += "uniform over " + std::to_string(rows[i]) + " rows";
        if (!special.empty())
          text += " between " + std::to_string(special.front()) + " and " + std::to_string(special.back());
        break;
      case Content::Zeros:
        text += "0";
        break;
      case Content::Positions:
        text += "0, 1, ...";
        break;
      case Content::Ones:
        text += "ones";
        break;
      case Content::Normal:
        text += "N(0, 1)";
        break;
      }
    }
    return text;
  }

  Status read(int64_t first, int64_t, std::vector<Tensor> &inputs) override {
    Random random(seed * 0x2545f4914f6cdd1d + first);
    const int64_t length = first % 4 == 3 ? kLongest : kShortest + random.below(kLongest - kShortest + 1);
    inputs.clear();
    inputs.resize(ports.size());
    for (size_t i = 0; i < ports.size(); ++i) {
      std::vector<int64_t> shape;
      for (size_t axis = 0; axis < ports[i].dims.size(); ++axis)
        shape.push_back(sizeOf(ports[i].dims[axis], axis, length));
      if (Status s = inputs[i].allocate(ports[i].dtype, std::move(shape)); !s.ok())
        return s;
      fill(inputs[i], contents[i], rows[i], length, random);
    }
    return {};
  }

private:
  static int64_t sizeOf(const sq_dim_info &dim, size_t axis, int64_t length) {
    std::string name = dim.name;
    bool isPast = contains(name, "past") && !contains(name, "+");
    int64_t usual = axis == 0 ? 1 : isPast ? 0 : length;
    return std::min(std::max(usual, dim.min), dim.max);
  }

  void fill(Tensor &tensor, Content content, int64_t rows, int64_t length, Random &random) const {
    int64_t last = tensor.shape.empty() ? 1 : tensor.shape.back();
    for (int64_t k = 0, end = tensor.numElements(); k < end; ++k) {
      int64_t place = k % last, value = 0;
      switch (content) {
      case Content::Tokens:
        value = random.below(rows);
        if (!special.empty() && place == 0)
          value = special.front();
        else if (!special.empty() && place == std::min(length, last) - 1)
          value = special.back();
        break;
      case Content::Positions:
        value = rows ? place % rows : place;
        break;
      case Content::Ones: // a fixed length is filled up
        value = place < length;
        break;
      case Content::Zeros:
        break;
      case Content::Normal:
        tensor.setDouble(k, random.normal());
        continue;
      }
      if (isFloat(tensor.dtype))
        tensor.setDouble(k, static_cast<double>(value));
      else
        (void)tensor.setInt(k, value);
    }
  }

  int64_t number;
  uint64_t seed;
  std::vector<int64_t> special; // none, or first and last
  std::vector<Port> ports;
  std::vector<Content> contents;
  std::vector<int64_t> rows;
};

} // namespace

Status makeSamples(int64_t count, uint64_t seed, const std::vector<int64_t> &special, const std::vector<Port> &inputs,
                   const TableRows &tables, std::unique_ptr<Samples> &samples) {
  auto made = std::make_unique<SyntheticSamples>(count, seed, special);
  Status s = made->plan(inputs, tables);
  samples = std::move(made);
  return s;
}

} // namespace sq::calibration
