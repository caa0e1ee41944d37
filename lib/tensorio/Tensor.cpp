#include "lib/tensorio/Tensor.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace sq {
namespace {

struct DTypeInfo {
  const char *name;
  uint8_t width;
  bool isFloat;
  int8_t bits = 0; // when not 8 * width
  const SmallFloat *format = nullptr;
};
constexpr DTypeInfo small(const SmallFloat &format) {
  return {format.name, 1, true, static_cast<int8_t>(format.bits), &format};
}
constexpr DTypeInfo infos[numDTypes] = {
    {"f32", 4, true}, {"f64", 8, true},  {"f16", 2, true},  {"bf16", 2, true}, {"i8", 1, false},
    {"u8", 1, false}, {"i16", 2, false}, {"u16", 2, false}, {"i32", 4, false}, {"u32", 4, false},
    {"i64", 8, false}, {"u64", 8, false}, {"bool8", 1, false},
    {"i4", 1, false, 4}, {"u4", 1, false, 4}, {"i2", 1, false, 2}, {"u2", 1, false, 2},
    small(float8E4M3FN), small(float8E4M3FNUZ), small(float8E5M2), small(float8E5M2FNUZ),
    small(float8E8M0), small(float4E2M1)};
const DTypeInfo &info(DType dtype) { return infos[static_cast<int>(dtype)]; }

template <typename T> T load(const uint8_t *p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}
template <typename T> void store(uint8_t *p, T value) { std::memcpy(p, &value, sizeof(T)); }

/// IEEE-like 16-bit floats, described by their bits after the binary point and
/// their smallest normal exponent: f16 is (10, -14), bf16 is (7, -126).
struct Format16 {
  int mantissa, minExponent;
};
constexpr Format16 half{10, -14}, brain{7, -126};

double widen(uint16_t bits, Format16 f) {
  int mantissa = bits & ((1 << f.mantissa) - 1);
  int maxField = (1 << (15 - f.mantissa)) - 1;
  int field = (bits >> f.mantissa) & maxField;
  double value;
  if (field == maxField)
    value = mantissa ? std::numeric_limits<double>::quiet_NaN()
                     : std::numeric_limits<double>::infinity();
  else if (field == 0)
    value = std::ldexp(mantissa, f.minExponent - f.mantissa);
  else
    value = std::ldexp(mantissa + (1 << f.mantissa), field - 1 + f.minExponent - f.mantissa);
  return (bits & 0x8000) ? -value : value;
}

uint16_t narrow(double value, Format16 f) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  uint16_t infinity = ((1 << (15 - f.mantissa)) - 1) << f.mantissa;
  if (std::isnan(value))
    return infinity | (1 << (f.mantissa - 1));
  value = std::fabs(value);
  if (std::isinf(value))
    return sign | infinity;
  if (value == 0)
    return sign;
  // In units of the last place of value's binade (or of the subnormals), the
  // rounded value is an integer; a carry into the next binade comes out right
  // because the fields are adjacent.
  int exponent = std::max(std::ilogb(value), f.minExponent);
  double units = std::nearbyint(std::ldexp(value, f.mantissa - exponent));
  double bits = units + std::ldexp(exponent - f.minExponent, f.mantissa);
  return sign | (bits >= infinity ? infinity : static_cast<uint16_t>(bits));
}

/// Range of an integer type, by its magnitude: -low .. high.
void integerRange(DType dtype, int64_t &low, uint64_t &high) {
  if (dtype == DType::bool8) {
    low = 0, high = 1;
    return;
  }
  int bits = valueBits(dtype);
  bool isSigned = info(dtype).name[0] == 'i';
  low = isSigned ? INT64_MIN >> (64 - bits) : 0;
  high = UINT64_MAX >> (64 - bits + (isSigned ? 1 : 0));
}

bool fits(DType dtype, int64_t value) {
  int64_t low;
  uint64_t high;
  integerRange(dtype, low, high);
  return value >= low && (value < 0 || static_cast<uint64_t>(value) <= high);
}

} // namespace

size_t byteWidth(DType dtype) { return info(dtype).width; }
int valueBits(DType dtype) { return info(dtype).bits ? info(dtype).bits : 8 * info(dtype).width; }
const SmallFloat *smallFloatOf(DType dtype) { return info(dtype).format; }
const char *dtypeName(DType dtype) { return info(dtype).name; }
bool isFloat(DType dtype) { return info(dtype).isFloat; }

bool parseDType(const std::string &name, DType &dtype) {
  for (int i = 0; i < numDTypes; ++i)
    if (name == infos[i].name) {
      dtype = static_cast<DType>(i);
      return true;
    }
  return false;
}

bool Buffer::allocate(size_t size) {
  constexpr size_t alignment = 64;
  length = 0;
  bytes.reset();
  if (size > SIZE_MAX - alignment)
    return false;
  size_t rounded = (size + alignment) / alignment * alignment; // at least one line
  bytes.reset(static_cast<uint8_t *>(std::aligned_alloc(alignment, rounded)));
  if (!bytes)
    return false;
  length = size;
  return true;
}

bool byteSize(const std::vector<int64_t> &shape, size_t width, size_t &bytes) {
  size_t product = width;
  bool zero = false, overflow = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return false;
    zero |= dim == 0;
    overflow |= __builtin_mul_overflow(product, static_cast<size_t>(dim), &product);
  }
  if (overflow && !zero)
    return false;
  bytes = zero ? 0 : product;
  return bytes <= static_cast<size_t>(INT64_MAX);
}

int64_t Tensor::numElements() const { return bytes.size() / byteWidth(dtype); }

Status Tensor::allocate(DType newDType, std::vector<int64_t> newShape) {
  size_t size;
  if (!byteSize(newShape, byteWidth(newDType), size))
    return Status::refused("the shape of " + typeString(newDType, newShape) +
                           " is negative or too large to address");
  dtype = newDType;
  shape = std::move(newShape);
  if (!bytes.allocate(size))
    return Status::lacking("no memory for " + std::to_string(size) + " bytes of " +
                           typeString(*this));
  return {};
}

double Tensor::asDouble(int64_t i) const {
  const uint8_t *p = bytes.data() + i * byteWidth(dtype);
  if (const SmallFloat *format = smallFloatOf(dtype))
    return decodeSmallFloat(*format, *p);
  switch (dtype) {
  case DType::f32:
    return load<float>(p);
  case DType::f64:
    return load<double>(p);
  case DType::f16:
    return widen(load<uint16_t>(p), half);
  case DType::bf16:
    return widen(load<uint16_t>(p), brain);
  case DType::u64:
    return static_cast<double>(load<uint64_t>(p));
  default:
    return static_cast<double>(asInt(i));
  }
}

int64_t Tensor::asInt(int64_t i) const {
  const uint8_t *p = bytes.data() + i * byteWidth(dtype);
  switch (dtype) {
  case DType::i8:
  case DType::i4:
  case DType::i2:
    return load<int8_t>(p);
  case DType::u8:
  case DType::u4:
  case DType::u2:
    return load<uint8_t>(p);
  case DType::i16:
    return load<int16_t>(p);
  case DType::u16:
    return load<uint16_t>(p);
  case DType::i32:
    return load<int32_t>(p);
  case DType::u32:
    return load<uint32_t>(p);
  case DType::bool8:
    return load<uint8_t>(p) != 0;
  case DType::i64:
  case DType::u64:
    return load<int64_t>(p);
  default:
    return static_cast<int64_t>(asDouble(i));
  }
}

bool Tensor::setInt(int64_t i, int64_t value) {
  if (isFloat(dtype)) {
    setDouble(i, static_cast<double>(value));
    return true;
  }
  if (!fits(dtype, value))
    return false;
  // Little endian: the low bytes of a value that fits are the narrow value.
  std::memcpy(bytes.data() + i * byteWidth(dtype), &value, byteWidth(dtype));
  return true;
}

void Tensor::setDouble(int64_t i, double value) {
  uint8_t *p = bytes.data() + i * byteWidth(dtype);
  if (const SmallFloat *format = smallFloatOf(dtype)) {
    *p = encodeSmallFloat(*format, value, /*saturate=*/!std::isinf(value));
    return;
  }
  switch (dtype) {
  case DType::f32:
    return store(p, static_cast<float>(value));
  case DType::f64:
    return store(p, value);
  case DType::f16:
    return store(p, narrow(value, half));
  case DType::bf16:
    return store(p, narrow(value, brain));
  default:
    setInt(i, static_cast<int64_t>(value));
  }
}

std::string typeString(DType dtype, const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t dim : shape)
    text += std::to_string(dim) + "x";
  return text + dtypeName(dtype);
}

Status convert(Tensor &tensor, DType dtype) {
  if (tensor.dtype == dtype)
    return {};
  if (tensor.dtype == DType::u8 && smallFloatOf(dtype)) {
    tensor.dtype = dtype;
    return {};
  }
  bool widens = byteWidth(dtype) > byteWidth(tensor.dtype);
  if (isFloat(dtype) != isFloat(tensor.dtype) || (isFloat(dtype) && !widens))
    return Status::refused(std::string("elements are ") + dtypeName(tensor.dtype) +
                           ", expected " + dtypeName(dtype) + "; convert the data");
  Tensor result;
  if (Status s = result.allocate(dtype, tensor.shape); !s.ok())
    return s;
  for (int64_t i = 0, e = tensor.numElements(); i < e; ++i) {
    if (isFloat(dtype)) {
      result.setDouble(i, tensor.asDouble(i));
      continue;
    }
    int64_t value = tensor.asInt(i);
    bool wrapped = tensor.dtype == DType::u64 && value < 0;
    if (wrapped || !result.setInt(i, value))
      return Status::refused("element " + std::to_string(i) + " is " + formatElement(tensor, i) +
                             ", which does not fit " + dtypeName(dtype));
  }
  result.name = std::move(tensor.name);
  tensor = std::move(result);
  return {};
}

void normalizeBools(Tensor &tensor) {
  if (tensor.dtype == DType::bool8)
    for (size_t i = 0; i < tensor.bytes.size(); ++i)
      tensor.bytes.data()[i] = tensor.bytes.data()[i] != 0;
}

namespace {

/// Reads one element at `text` into element `i`; the end of what was read, or
/// null.
const char *parseElement(const char *text, Tensor &tensor, int64_t i) {
  char *end = nullptr;
  errno = 0;
  if (isFloat(tensor.dtype)) {
    tensor.setDouble(i, std::strtod(text, &end));
    return end == text ? nullptr : end; // ERANGE: infinity or zero is the nearest
  }
  if (tensor.dtype == DType::bool8)
    for (bool value : {false, true}) {
      const char *word = value ? "true" : "false";
      if (std::strncmp(text, word, std::strlen(word)) == 0) {
        tensor.setInt(i, value);
        return text + std::strlen(word);
      }
    }
  if (tensor.dtype == DType::u64 && *text != '-') {
    uint64_t value = std::strtoull(text, &end, 10);
    if (end == text || errno)
      return nullptr;
    store(tensor.bytes.data() + 8 * i, value);
    return end;
  }
  long long value = std::strtoll(text, &end, 10);
  return end == text || errno || !tensor.setInt(i, value) ? nullptr : end;
}

} // namespace

Status parseTensor(const std::string &text, Tensor &tensor) {
  size_t equal = text.find('=');
  std::string type = text.substr(0, equal);
  size_t last = type.rfind('x');
  DType dtype;
  if (equal == std::string::npos ||
      !parseDType(last == std::string::npos ? type : type.substr(last + 1), dtype))
    return Status::usage("'" + text.substr(0, 40) +
                         "' is not SHAPExDTYPE=VALUES, for example 2x3xi64=1,2,3,4,5,6");
  std::vector<int64_t> shape;
  for (size_t at = 0; last != std::string::npos && at <= last;) {
    char *end = nullptr;
    errno = 0;
    long long dim = std::strtoll(type.c_str() + at, &end, 10);
    if (errno || end == type.c_str() + at || *end != 'x' || dim < 0)
      return Status::usage("'" + type + "' is not SHAPExDTYPE, for example 2x3xi64");
    shape.push_back(dim);
    at = end - type.c_str() + 1;
  }
  if (Status s = tensor.allocate(dtype, shape); !s.ok())
    return s;

  int64_t expected = tensor.numElements(), given = 0;
  const char *p = text.c_str() + equal + 1;
  auto skip = [&] {
    while (*p == ' ' || *p == '\n' || *p == '\t')
      ++p;
  };
  for (skip(); *p; skip()) {
    if (given < expected) {
      const char *end = parseElement(p, tensor, given);
      if (!end)
        return Status::usage("element " + std::to_string(given) + ", '" +
                             std::string(p, strcspn(p, ", \n\t")) + "', is not a value of " +
                             dtypeName(dtype));
      if (*end && !std::strchr(", \n\t", *end))
        return Status::usage("unexpected '" + std::string(end).substr(0, 20) + "' after element " +
                             std::to_string(given));
      p = end;
    } else {
      p += strcspn(p, ", \n\t");
    }
    ++given;
    skip();
    if (*p == ',')
      ++p;
  }
  if (given == 1 && expected > 1) {
    size_t width = byteWidth(dtype);
    for (int64_t i = 1; i < expected; ++i)
      std::memcpy(tensor.bytes.data() + i * width, tensor.bytes.data(), width);
    given = expected;
  }
  if (given != expected)
    return Status::usage(typeString(tensor) + " has " + std::to_string(expected) +
                         " elements, given " + std::to_string(given) +
                         "; give them all, or one for all");
  return {};
}

std::string formatElement(const Tensor &tensor, int64_t i) {
  char text[40];
  if (isFloat(tensor.dtype)) {
    double value = tensor.asDouble(i);
    auto readsBack = [&] {
      double back = std::strtod(text, nullptr);
      switch (tensor.dtype) {
      case DType::f64:
        return back == value;
      case DType::f16:
        return narrow(back, half) == narrow(value, half);
      case DType::bf16:
        return narrow(back, brain) == narrow(value, brain);
      default:
        if (const SmallFloat *format = smallFloatOf(tensor.dtype))
          return encodeSmallFloat(*format, back) == encodeSmallFloat(*format, value);
        return static_cast<float>(back) == static_cast<float>(value);
      }
    };
    // 17 digits tell all doubles apart. Below 6, %g would write 10 as 1e+01.
    for (int digits = 1; digits <= 17; ++digits) {
      std::snprintf(text, sizeof text, "%.*g", digits, value);
      bool plain = digits >= 6 || !std::strchr(text, 'e');
      if (std::isnan(value) || (plain && readsBack()))
        break;
    }
  } else if (tensor.dtype == DType::u64) {
    std::snprintf(text, sizeof text, "%" PRIu64, load<uint64_t>(tensor.bytes.data() + 8 * i));
  } else {
    std::snprintf(text, sizeof text, "%" PRId64, tensor.asInt(i));
  }
  return text;
}

std::string formatTensor(const Tensor &tensor, int64_t limit) {
  std::string text = typeString(tensor) + "=";
  int64_t count = tensor.numElements();
  for (int64_t i = 0; i < count && i < limit; ++i)
    text += (i ? "," : "") + formatElement(tensor, i);
  return count > limit ? text + ",..." : text;
}

} // namespace sq
