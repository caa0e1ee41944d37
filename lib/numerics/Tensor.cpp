#include "lib/numerics/Tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace sq;
using namespace sq::numerics;

namespace {

struct TypeInfo {
  const char *name;
  int bits;
  bool isFloat, isUnsigned;
  int valueBits = 0; // when not `bits`
  const SmallFloat *format = nullptr;
};

constexpr TypeInfo small(const SmallFloat &format) {
  return {format.name, 8, true, false, format.bits, &format};
}

// In the order of DType.
constexpr TypeInfo typeInfos[] = {
    {"bool", 8, false, true},  {"i8", 8, false, false},   {"i16", 16, false, false},
    {"i32", 32, false, false}, {"i64", 64, false, false}, {"u8", 8, false, true},
    {"u16", 16, false, true},  {"u32", 32, false, true},  {"u64", 64, false, true},
    {"f16", 16, true, false},  {"bf16", 16, true, false}, {"f32", 32, true, false},
    {"f64", 64, true, false},  {"i4", 8, false, false, 4}, {"u4", 8, false, true, 4},
    {"i2", 8, false, false, 2}, {"u2", 8, false, true, 2}, small(float8E4M3FN),
    small(float8E4M3FNUZ),     small(float8E5M2),         small(float8E5M2FNUZ),
    small(float8E8M0),         small(float4E2M1),
};

const TypeInfo &info(DType type) { return typeInfos[static_cast<int>(type)]; }

/// Rounds to a binary format with `precision` significant bits (the implicit
/// one included), smallest normal 2^minExponent, largest exponent maxExponent.
double roundToFormat(double x, int precision, int minExponent, int maxExponent) {
  if (x == 0 || !std::isfinite(x))
    return x;
  int exponent; // x = m * 2^exponent, m in [0.5, 1)
  std::frexp(x, &exponent);
  // The unit in the last place; constant below the smallest normal.
  int ulp = std::max(exponent, minExponent + 1) - precision;
  double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -ulp)), ulp);
  if (std::fabs(rounded) >= std::ldexp(1.0, maxExponent + 1))
    return std::copysign(std::numeric_limits<double>::infinity(), x);
  return rounded;
}

int64_t saturate(double x, DType type) {
  if (std::isnan(x))
    return 0;
  x = std::trunc(x);
  int bits = valueBits(type);
  if (isUnsigned(type)) {
    if (x <= 0)
      return 0;
    if (x >= std::ldexp(1.0, bits))
      return wrap(-1, type);
    return static_cast<int64_t>(static_cast<uint64_t>(x));
  }
  double limit = std::ldexp(1.0, bits - 1);
  if (x >= limit)
    return std::numeric_limits<int64_t>::max() >> (64 - bits);
  if (x <= -limit)
    return std::numeric_limits<int64_t>::min() >> (64 - bits);
  return static_cast<int64_t>(x);
}

template <typename T> T load(const uint8_t *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <typename T> void store(uint8_t *p, T value) { std::memcpy(p, &value, sizeof value); }

} // namespace

const char *sq::numerics::name(DType type) { return info(type).name; }
bool sq::numerics::isFloat(DType type) { return info(type).isFloat; }
bool sq::numerics::isUnsigned(DType type) { return info(type).isUnsigned; }
int sq::numerics::bitWidth(DType type) { return info(type).bits; }
int sq::numerics::valueBits(DType type) {
  return info(type).valueBits ? info(type).valueBits : info(type).bits;
}
const SmallFloat *sq::numerics::smallFloatOf(DType type) { return info(type).format; }

std::string sq::numerics::format(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

int64_t sq::numerics::numElements(const Shape &shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      throw Error("negative dim in shape " + format(shape));
    empty |= dim == 0;
  }
  if (empty)
    return 0;
  for (int64_t dim : shape) {
    if (dim > (int64_t(1) << 40) / count)
      throw Error("shape " + format(shape) + " is too large for the reference");
    count *= dim;
  }
  return count;
}

std::vector<int64_t> sq::numerics::stridesOf(const Shape &shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

int64_t sq::numerics::normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    throw Error("axis " + std::to_string(axis) + " is outside of rank " + std::to_string(rank));
  return axis < 0 ? axis + rank : axis;
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor t;
  int64_t count = numElements(shape);
  t.dtype = dtype;
  t.shape = std::move(shape);
  if (t.isFloat())
    t.reals.resize(count);
  else
    t.integers.resize(count);
  return t;
}

Tensor Tensor::ofReals(DType dtype, Shape shape, std::vector<double> values) {
  if (int64_t(values.size()) != numElements(shape))
    throw Error(std::to_string(values.size()) + " values do not fill shape " + format(shape));
  Tensor t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  t.reals = std::move(values);
  return t;
}

Tensor Tensor::ofIntegers(DType dtype, Shape shape, std::vector<int64_t> values) {
  if (int64_t(values.size()) != numElements(shape))
    throw Error(std::to_string(values.size()) + " values do not fill shape " + format(shape));
  Tensor t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  t.integers = std::move(values);
  return t;
}

double Tensor::real(int64_t i) const {
  if (isFloat())
    return reals[i];
  if (dtype == DType::U64)
    return static_cast<double>(static_cast<uint64_t>(integers[i]));
  return static_cast<double>(integers[i]);
}

int64_t sq::numerics::wrap(int64_t value, DType type) {
  if (type == DType::Bool)
    return value != 0;
  int shift = 64 - valueBits(type);
  uint64_t high = static_cast<uint64_t>(value) << shift;
  return isUnsigned(type) ? static_cast<int64_t>(high >> shift)
                          : static_cast<int64_t>(high) >> shift;
}

double sq::numerics::roundToF32(double value) { return roundToFormat(value, 24, -126, 127); }
double sq::numerics::roundToF16(double value) { return roundToFormat(value, 11, -14, 15); }
double sq::numerics::roundToBF16(double value) { return roundToFormat(value, 8, -126, 127); }

double sq::numerics::roundTo(double value, DType type) {
  if (const SmallFloat *format = smallFloatOf(type))
    return decodeSmallFloat(*format, encodeSmallFloat(*format, value));
  switch (type) {
  case DType::F16:
    return roundToF16(value);
  case DType::BF16:
    return roundToBF16(value);
  case DType::F32:
    return roundToF32(value);
  default:
    return value;
  }
}

uint16_t sq::numerics::encodeF16(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value))
    return sign | 0x7e00;
  double magnitude = std::fabs(value);
  if (std::isinf(value))
    return sign | 0x7c00;
  if (magnitude < std::ldexp(1.0, -14)) // subnormal: units of 2^-24
    return sign | static_cast<uint16_t>(std::ldexp(magnitude, 24));
  int exponent;
  double mantissa = std::frexp(magnitude, &exponent); // [0.5, 1)
  return sign | static_cast<uint16_t>((exponent - 1 + 15) << 10) |
         (static_cast<uint16_t>(std::ldexp(mantissa, 11)) & 0x3ff);
}

double sq::numerics::decodeF16(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  int mantissa = bits & 0x3ff;
  double magnitude;
  if (exponent == 31)
    magnitude = mantissa ? std::numeric_limits<double>::quiet_NaN()
                         : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(mantissa, -24);
  else
    magnitude = std::ldexp(mantissa + 1024, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t sq::numerics::encodeBF16(double value) {
  // bf16 is the upper half of f32, and a value that bf16 holds is exact there.
  float f = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &f, sizeof bits);
  return std::isnan(f) ? 0x7fc0 : static_cast<uint16_t>(bits >> 16);
}

double sq::numerics::decodeBF16(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float f;
  std::memcpy(&f, &wide, sizeof f);
  return f;
}

Tensor sq::numerics::cast(const Tensor &x, DType type) {
  if (x.dtype == type)
    return x;
  Tensor y = Tensor::zeros(type, x.shape);
  for (int64_t i = 0, n = x.size(); i < n; ++i) {
    if (y.isFloat()) {
      // Straight to f32: an integer above 2^53 would round twice through double.
      if (type == DType::F32 && !x.isFloat())
        y.reals[i] = x.dtype == DType::U64 ? static_cast<float>(uint64_t(x.integers[i]))
                                           : static_cast<float>(x.integers[i]);
      else
        y.reals[i] = roundTo(x.real(i), type);
    } else if (type == DType::Bool) {
      y.integers[i] = x.isFloat() ? x.reals[i] != 0 : x.integers[i] != 0;
    } else {
      y.integers[i] = x.isFloat() ? saturate(x.reals[i], type) : wrap(x.integers[i], type);
    }
  }
  return y;
}

Tensor sq::numerics::fromBytes(DType type, Shape shape, const void *data, uint64_t bytes) {
  uint64_t width = bitWidth(type) / 8;
  uint64_t expected = uint64_t(numElements(shape)) * width;
  if (bytes != expected) // before anything of that size is allocated
    throw Error(std::to_string(bytes) + " bytes for a tensor of " + name(type) + format(shape) +
                ", which takes " + std::to_string(expected));
  Tensor t = Tensor::zeros(type, std::move(shape));
  const uint8_t *p = static_cast<const uint8_t *>(data);
  for (int64_t i = 0, n = t.size(); i < n; ++i, p += width) {
    if (const SmallFloat *format = smallFloatOf(type)) {
      t.reals[i] = decodeSmallFloat(*format, *p);
      continue;
    }
    switch (type) {
    case DType::F64:
      t.reals[i] = load<double>(p);
      break;
    case DType::F32:
      t.reals[i] = load<float>(p);
      break;
    case DType::F16:
      t.reals[i] = decodeF16(load<uint16_t>(p));
      break;
    case DType::BF16:
      t.reals[i] = decodeBF16(load<uint16_t>(p));
      break;
    default: {
      uint64_t value = 0;
      std::memcpy(&value, p, width); // little-endian
      t.integers[i] = wrap(static_cast<int64_t>(value), type);
    }
    }
  }
  return t;
}

std::vector<uint8_t> sq::numerics::toBytes(const Tensor &x) {
  uint64_t width = bitWidth(x.dtype) / 8;
  std::vector<uint8_t> bytes(x.size() * width);
  uint8_t *p = bytes.data();
  for (int64_t i = 0, n = x.size(); i < n; ++i, p += width) {
    if (const SmallFloat *format = smallFloatOf(x.dtype)) {
      *p = encodeSmallFloat(*format, x.reals[i], /*saturate=*/!std::isinf(x.reals[i]));
      continue;
    }
    switch (x.dtype) {
    case DType::F64:
      store(p, x.reals[i]);
      break;
    case DType::F32:
      store(p, static_cast<float>(roundToF32(x.reals[i])));
      break;
    case DType::F16:
      store(p, encodeF16(roundToF16(x.reals[i])));
      break;
    case DType::BF16:
      store(p, encodeBF16(roundToBF16(x.reals[i])));
      break;
    default:
      std::memcpy(p, &x.integers[i], width); // little-endian
    }
  }
  return bytes;
}
