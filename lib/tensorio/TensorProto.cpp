#include "lib/tensorio/TensorProto.h"

#include <cstring>

#include "lib/tensorio/File.h"

namespace sq {
namespace {

/// A field of a protobuf message (https://protobuf.dev/programming-guides/
/// encoding/): a number, or a span of bytes.
struct Field {
  uint32_t number = 0;
  enum Wire { Varint = 0, Fixed64 = 1, Span = 2, Fixed32 = 5 } wire = Varint;
  uint64_t value = 0; // Varint, Fixed64, Fixed32
  const uint8_t *data = nullptr;
  size_t size = 0;
};

/// Never reads outside [p, end).
class WireReader {
public:
  WireReader(const uint8_t *data, size_t size) : p(data), end(data + size) {}
  bool atEnd() const { return p == end; }

  bool varint(uint64_t &value) {
    value = 0;
    for (int shift = 0; shift < 64 && p != end; shift += 7) {
      uint8_t byte = *p++;
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128)
        return true;
    }
    return false;
  }

  bool fixed(size_t width, uint64_t &value) {
    if (static_cast<size_t>(end - p) < width)
      return false;
    value = 0;
    std::memcpy(&value, p, width);
    p += width;
    return true;
  }

  bool field(Field &f) {
    uint64_t tag;
    if (!varint(tag) || tag >> 3 == 0 || tag >> 32)
      return false;
    f.number = tag >> 3;
    f.wire = static_cast<Field::Wire>(tag & 7);
    switch (f.wire) {
    case Field::Varint:
      return varint(f.value);
    case Field::Fixed64:
      return fixed(8, f.value);
    case Field::Fixed32:
      return fixed(4, f.value);
    case Field::Span: {
      uint64_t length;
      if (!varint(length) || length > static_cast<size_t>(end - p))
        return false;
      f.data = p;
      f.size = length;
      p += length;
      return true;
    }
    }
    return false; // groups: not used by onnx
  }

private:
  const uint8_t *p, *end;
};

/// Numbers of onnx.proto's TensorProto.
enum FieldNumber {
  Dims = 1, DataType = 2, Segment = 3, FloatData = 4, Int32Data = 5, StringData = 6,
  Int64Data = 7, Name = 8, RawData = 9, DoubleData = 10, Uint64Data = 11,
  ExternalData = 13, DataLocation = 14
};

struct TypeInfo {
  int32_t onnx;
  DType dtype;
  FieldNumber typed; // the field of data that are not raw
};
constexpr TypeInfo types[] = {
    {1, DType::f32, FloatData},  {2, DType::u8, Int32Data},   {3, DType::i8, Int32Data},
    {4, DType::u16, Int32Data},  {5, DType::i16, Int32Data},  {6, DType::i32, Int32Data},
    {7, DType::i64, Int64Data},  {9, DType::bool8, Int32Data}, {10, DType::f16, Int32Data},
    {11, DType::f64, DoubleData}, {12, DType::u32, Uint64Data}, {13, DType::u64, Uint64Data},
    {16, DType::bf16, Int32Data}, {17, DType::f8e4m3fn, Int32Data},
    {18, DType::f8e4m3fnuz, Int32Data}, {19, DType::f8e5m2, Int32Data},
    {20, DType::f8e5m2fnuz, Int32Data}, {21, DType::u4, Int32Data}, {22, DType::i4, Int32Data},
    {23, DType::f4e2m1, Int32Data}, {24, DType::f8e8m0, Int32Data}, {25, DType::u2, Int32Data},
    {26, DType::i2, Int32Data}};

/// Gives each element its byte, from bytes that hold several, the first in the low bits.
void unpack(const uint8_t *packed, Tensor &tensor) {
  int bits = valueBits(tensor.dtype);
  bool isSigned = tensor.dtype == DType::i4 || tensor.dtype == DType::i2;
  for (int64_t i = 0, n = tensor.numElements(); i < n; ++i) {
    uint8_t value = packed[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
    bool isNegative = isSigned && value >> (bits - 1);
    tensor.bytes.data()[i] = isNegative ? value | static_cast<uint8_t>(-1 << bits) : value;
  }
}

/// Wire type of one element of a repeated field.
Field::Wire elementWire(uint32_t number) {
  return number == FloatData ? Field::Fixed32 : number == DoubleData ? Field::Fixed64 : Field::Varint;
}

/// Calls `each(value)` for the element or the packed elements of `f`; false
/// when the bytes are malformed or `each` refuses.
template <typename Each> bool forEachElement(const Field &f, Each each) {
  Field::Wire wire = elementWire(f.number);
  if (f.wire == wire)
    return each(f.value);
  if (f.wire != Field::Span)
    return false;
  for (WireReader reader(f.data, f.size); !reader.atEnd();) {
    uint64_t value;
    bool read = wire == Field::Varint ? reader.varint(value)
                                      : reader.fixed(wire == Field::Fixed32 ? 4 : 8, value);
    if (!read || !each(value))
      return false;
  }
  return true;
}

} // namespace

Status parseTensorProto(const uint8_t *data, size_t size, const std::string &what,
                        Tensor &tensor) {
  auto bad = [&](const std::string &why) {
    return Status::refused(what + " is not a readable ONNX tensor: " + why);
  };
  // First pass: everything but typed data, whose meaning depends on the type.
  std::vector<int64_t> shape;
  std::string name;
  uint64_t typeNumber = 0;
  Field raw;
  bool haveRaw = false;
  for (WireReader reader(data, size); !reader.atEnd();) {
    Field f;
    if (!reader.field(f))
      return bad("malformed protobuf");
    switch (f.number) {
    case Dims:
      if (!forEachElement(f, [&](uint64_t dim) {
            shape.push_back(static_cast<int64_t>(dim));
            return shape.size() <= 64;
          }))
        return bad("malformed dims");
      break;
    case DataType:
      typeNumber = f.value;
      if (f.wire != Field::Varint)
        return bad("malformed data_type");
      break;
    case Name:
      if (f.wire != Field::Span)
        return bad("malformed name");
      name.assign(reinterpret_cast<const char *>(f.data), f.size);
      break;
    case RawData:
      if (f.wire != Field::Span)
        return bad("malformed raw_data");
      raw = f;
      haveRaw = true;
      break;
    case Segment:
      return bad("its data are in segments");
    case ExternalData:
      return bad("its data are in another file");
    case DataLocation:
      if (f.value != 0)
        return bad("its data are in another file");
      break;
    default:
      break;
    }
  }
  const TypeInfo *type = nullptr;
  for (const TypeInfo &t : types)
    if (static_cast<uint64_t>(t.onnx) == typeNumber)
      type = &t;
  if (!type)
    return bad("data_type " + std::to_string(typeNumber) + " is not supported");
  size_t width = byteWidth(type->dtype), expected;
  if (!byteSize(shape, width, expected))
    return bad("the shape " + typeString(type->dtype, shape) + " is negative or overflows");
  // Elements below a byte are packed, in raw and in typed data.
  int bits = valueBits(type->dtype);
  size_t entries = bits < 8 ? (expected * bits + 7) / 8 : expected / width;
  // A hostile shape must not make us allocate more than the file could hold; a
  // typed entry takes at least a byte.
  std::string needs = typeString(type->dtype, shape) + " needs " + std::to_string(entries) +
                      (bits < 8 ? " packed bytes" : " elements");
  if (haveRaw ? raw.size != entries * width : entries > size)
    return bad(needs + ", given " + std::to_string(haveRaw ? raw.size : size) + " bytes");
  if (Status s = tensor.allocate(type->dtype, std::move(shape)); !s.ok())
    return s;
  tensor.name = std::move(name);
  Buffer packed;
  if (bits < 8 && !packed.allocate(entries))
    return Status::lacking("no memory for " + needs);
  uint8_t *destination = bits < 8 ? packed.data() : tensor.bytes.data();
  auto finish = [&] {
    if (bits < 8)
      unpack(packed.data(), tensor);
    normalizeBools(tensor);
    return Status();
  };
  if (haveRaw) {
    if (expected)
      std::memcpy(destination, raw.data, raw.size);
    return finish();
  }
  size_t count = 0;
  for (WireReader reader(data, size); !reader.atEnd();) {
    Field f;
    if (!reader.field(f))
      return bad("malformed protobuf");
    if (f.number != type->typed)
      continue;
    bool good = forEachElement(f, [&](uint64_t value) {
      if (count == entries)
        return false;
      // Floats of 16 bits are stored as their bits; narrow integers sign- or
      // zero-extended: the low bytes are the element either way.
      std::memcpy(destination + width * count++, &value, width);
      return true;
    });
    if (!good)
      return bad("malformed data, or more than the " + std::to_string(entries) + " elements of " +
                 typeString(tensor));
  }
  if (count != entries)
    return bad(needs + ", given " + std::to_string(count));
  return finish();
}

Status readTensorProto(const std::string &path, Tensor &tensor) {
  InputFile file;
  if (Status s = file.open(path); !s.ok())
    return s;
  Buffer bytes;
  if (!bytes.allocate(file.size()))
    return Status::lacking("no memory for the " + std::to_string(file.size()) + " bytes of '" +
                           path + "'");
  if (Status s = file.read(0, bytes.data(), bytes.size()); !s.ok())
    return s;
  return parseTensorProto(bytes.data(), bytes.size(), "'" + path + "'", tensor);
}

} // namespace sq
