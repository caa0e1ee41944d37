#include "lib/quantizer/CompressedWeight.h"

#include <algorithm>
#include <cmath>

#include "lib/numerics/Tensor.h"

using namespace sq;
using namespace sq::quantizer;

static constexpr double kLargestF16 = 65504, kLargestByte = 127;

uint16_t quantizer::toF16(double value) {
  return numerics::encodeF16(
      numerics::roundToF16(std::clamp(value, -kLargestF16, kLargestF16)));
}

CompressedWeight CompressedWeight::make(GridFormat format, int64_t n,
                                        int64_t k) {
  CompressedWeight w;
  w.format = format;
  w.n = n;
  w.k = k;
  w.codes.assign(n * k, 0);
  bool isTable = format.kind == GridKind::Table,
       ofBytes = format.entries == EntryType::I8;
  if (isTable)
    ofBytes ? w.entries.assign(n * w.levels(), 0)
            : w.table.assign(n * w.levels(), 0);
  if (!isTable || ofBytes)
    w.scales.assign(n * w.groups(), 0);
  if (format.kind == GridKind::Uniform)
    w.minima.assign(n * w.groups(), 0);
  return w;
}

uint16_t CompressedWeight::entryF16(int64_t row, int code) const {
  int64_t at = row * levels() + code;
  return format.entries == EntryType::F16
             ? table[at]
             : toF16(numerics::decodeF16(scales[row]) * entries[at]);
}

void CompressedWeight::readLevels(int64_t row, int64_t group, float *to) const {
  int64_t at = row * groups() + group;
  float scale = scales.empty() ? 1 : numerics::decodeF16(scales[at]);
  float minimum = minima.empty() ? 0 : numerics::decodeF16(minima[at]);
  for (int c = 0; c < levels(); ++c)
    switch (format.kind) {
    case GridKind::Table:
      to[c] = numerics::decodeF16(entryF16(row, c));
      break;
    case GridKind::Uniform: {
      float step = scale * c; // exact: 11 bits by 4
      to[c] = minimum + step;
      break;
    }
    case GridKind::Symmetric:
      to[c] = scale * (c - levels() / 2);
      break;
    }
}

void CompressedWeight::writeLevels(int64_t row, int64_t group,
                                   const double *wanted) {
  int count = levels();
  int64_t at = row * groups() + group;
  if (format.kind == GridKind::Uniform) {
    minima[at] = toF16(wanted[0]);
    scales[at] = toF16((wanted[count - 1] - wanted[0]) / (count - 1));
    return;
  }
  if (format.kind == GridKind::Symmetric) {
    scales[at] = toF16((wanted[count - 1] - wanted[0]) / (count - 1));
    return;
  }
  double sorted[1 << 4];
  std::copy(wanted, wanted + count, sorted);
  std::sort(sorted, sorted + count);
  if (format.entries == EntryType::F16) {
    for (int c = 0; c < count; ++c)
      table[row * count + c] = toF16(sorted[c]);
    return;
  }
  double largest = std::max(std::fabs(sorted[0]), std::fabs(sorted[count - 1]));
  scales[at] = toF16(largest / kLargestByte);
  double scale = numerics::decodeF16(scales[at]);
  for (int c = 0; c < count; ++c)
    entries[row * count + c] =
        scale > 0 ? std::clamp(std::nearbyint(sorted[c] / scale),
                               -kLargestByte - 1, kLargestByte)
                  : 0;
}

void CompressedWeight::decode(float *to) const {
  float level[1 << 4];
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t g = 0; g < groups(); ++g) {
      readLevels(r, g, level);
      int64_t end = std::min(k, (g + 1) * groupSize());
      for (int64_t c = g * groupSize(); c < end; ++c)
        to[r * k + c] = level[codes[r * k + c]];
    }
    if (!sparse.isEmpty())
      for (uint32_t i = sparse.starts[r]; i < sparse.starts[r + 1]; ++i)
        to[r * k + sparse.columns[i]] +=
            float(numerics::decodeF16(sparse.values[i]));
  }
}

BitCount CompressedWeight::bits() const {
  BitCount count;
  count.codes = n * k * format.bits;
  count.tables = 16 * int64_t(table.size() + scales.size() + minima.size()) +
                 8 * int64_t(entries.size());
  if (!sparse.starts.empty())
    count.sparse =
        int64_t(sparse.columns.size()) * (16 + (k <= 65536 ? 16 : 32)) + 32 * n;
  return count;
}

void CompressedWeight::assignNearest(const float *wanted) {
  int count = levels();
  float level[1 << 4];
  double middle[1 << 4];
  int order[1 << 4];
  for (int64_t r = 0; r < n; ++r)
    for (int64_t g = 0; g < groups(); ++g) {
      readLevels(r, g, level);
      for (int c = 0; c < count; ++c)
        order[c] = level[count - 1] < level[0] ? count - 1 - c
                                               : c; // of a negative scale
      for (int c = 0; c + 1 < count; ++c)
        middle[c] = (double(level[order[c]]) + level[order[c + 1]]) / 2;
      int64_t end = std::min(k, (g + 1) * groupSize());
      for (int64_t i = g * groupSize(); i < end; ++i) {
        double value = wanted[r * k + i];
        int code = 0;
        for (int c = 0; c + 1 < count; ++c)
          code += value > middle[c];
        // Of equal entries (tables with fewer values than codes) the first.
        while (code > 0 && level[order[code - 1]] == level[order[code]])
          --code;
        codes[r * k + i] = order[code];
      }
    }
}

void CompressedWeight::takeSparse(const float *wanted,
                                  const std::vector<uint8_t> &removed) {
  sparse = {};
  std::vector<float> level(levels());
  sparse.starts.push_back(0);
  for (int64_t r = 0; r < n; ++r) {
    int64_t read = -1;
    for (int64_t c = 0; c < k; ++c) {
      if (!removed[r * k + c])
        continue;
      if (int64_t g = c / groupSize(); g != read)
        readLevels(r, read = g, level.data());
      uint16_t value =
          toF16(double(wanted[r * k + c]) - level[codes[r * k + c]]);
      if ((value & 0x7fff) == 0)
        continue;
      sparse.columns.push_back(c);
      sparse.values.push_back(value);
    }
    sparse.starts.push_back(sparse.columns.size());
  }
  if (sparse.isEmpty())
    sparse = {};
}

Status CompressedWeight::verify() const {
  auto refuse = [](int64_t row, const std::string &what) {
    return Status::refused("row " + std::to_string(row) +
                           " of a compressed weight: " + what);
  };
  std::vector<float> level(levels());
  for (int64_t r = 0; r < n; ++r)
    for (int64_t g = 0; g < groups(); ++g) {
      readLevels(r, g, level.data());
      for (int c = 0; c < levels(); ++c) {
        if (!std::isfinite(level[c]))
          return refuse(r, "level " + std::to_string(c) + " is not finite");
        if (format.kind == GridKind::Table && c > 0 && level[c] < level[c - 1])
          return refuse(r, "level " + std::to_string(c) +
                               " is below the one before it");
      }
    }
  for (size_t i = 0; i < codes.size(); ++i)
    if (codes[i] >= levels())
      return refuse(i / k, "code " + std::to_string(codes[i]) + " in column " +
                               std::to_string(i % k) + " has more than " +
                               std::to_string(format.bits) + " bits");
  if (sparse.starts.empty())
    return sparse.isEmpty() ? Status()
                            : refuse(0, "sparse values without row starts");
  if (int64_t(sparse.starts.size()) != n + 1 || sparse.starts.front() != 0 ||
      sparse.starts.back() != sparse.columns.size() ||
      sparse.columns.size() != sparse.values.size())
    return refuse(0, "row starts do not cover the sparse values");
  for (int64_t r = 0; r < n; ++r) {
    if (sparse.starts[r] > sparse.starts[r + 1])
      return refuse(r, "its sparse values end before they start");
    for (uint32_t i = sparse.starts[r]; i < sparse.starts[r + 1]; ++i)
      if (sparse.columns[i] >= k ||
          (i > sparse.starts[r] && sparse.columns[i] <= sparse.columns[i - 1]))
        return refuse(r, "sparse column " + std::to_string(sparse.columns[i]) +
                             " is out of range or out of order");
  }
  return {};
}
