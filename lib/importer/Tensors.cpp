#include "lib/importer/Tensors.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"

#include "lib/importer/Messages.h"
#include "lib/importer/Types.h"

#include <cstring>

using namespace mlir;
using google::protobuf::RepeatedField;
using ::onnx::SparseTensorProto;
using ::onnx::TensorProto;

namespace sq::importer {
namespace {

ArrayRef<int64_t> asArray(const RepeatedField<int64_t> &field) {
  return {field.data(), static_cast<size_t>(field.size())};
}

template <typename T>
ArrayRef<char> asBytes(const RepeatedField<T> &field) {
  return {reinterpret_cast<const char *>(field.data()), field.size() * sizeof(T)};
}

/// The typed field that holds a tensor without raw_data, by TensorProto's documentation.
enum class Field { Float, Double, Int32, Int64, UInt64, String };

Field typedField(int32_t dataType) {
  switch (dataType) {
  case TensorProto::FLOAT:
  case TensorProto::COMPLEX64:
    return Field::Float;
  case TensorProto::DOUBLE:
  case TensorProto::COMPLEX128:
    return Field::Double;
  case TensorProto::INT64:
    return Field::Int64;
  case TensorProto::UINT32:
  case TensorProto::UINT64:
    return Field::UInt64;
  case TensorProto::STRING:
    return Field::String;
  default:
    return Field::Int32;
  }
}

bool isExternal(const TensorProto &tensor) {
  return tensor.data_location() == TensorProto::EXTERNAL;
}

/// What dtype and dims alone say, once they have been found sound.
struct Layout {
  ElementInfo element;
  int64_t elements;
  int64_t bytes; // in ONNX's raw layout; of no meaning for strings
};

class TensorReader {
public:
  TensorReader(Location loc, const Twine &what, ExternalFiles &files)
      : loc(loc), what(what.str()), files(files) {}

  InFlightDiagnostic error() const { return emitError(loc) << what << ' '; }

  FailureOr<Layout> layout(const TensorProto &tensor) const {
    std::optional<ElementInfo> element = elementInfo(tensor.data_type(), loc.getContext());
    if (!element)
      return error() << "has the unknown element type " << tensor.data_type();
    for (auto [index, dim] : llvm::enumerate(tensor.dims()))
      if (dim < 0)
        return error() << "has size " << dim << " in dim " << index;
    std::optional<int64_t> elements = numElements(asArray(tensor.dims()), element->bits);
    if (!elements)
      return error() << "has a shape of more than 2^63 bits";
    return Layout{*element, *elements,
                  static_cast<int64_t>(llvm::divideCeil(uint64_t(*elements) * element->bits, 8))};
  }

  LogicalResult check(const TensorProto &tensor) const {
    FailureOr<Layout> known = layout(tensor);
    if (failed(known))
      return failure();
    if (tensor.has_segment())
      return error() << "is split into segments; join them, onnx never specified how to read them";
    if (failed(checkFields(tensor)))
      return failure();
    if (tensor.data_type() == TensorProto::STRING)
      return expectCount(known->elements, tensor.string_data_size(), "strings");
    if (isExternal(tensor)) {
      FailureOr<OwnedBytes> data = external(tensor, known->bytes);
      return failed(data) ? failure() : checkBooleans(tensor, data->bytes);
    }
    if (tensor.has_raw_data()) {
      const std::string &raw = tensor.raw_data();
      if (raw.size() != static_cast<uint64_t>(known->bytes))
        return error() << "holds " << raw.size() << " bytes, dtype " << known->element.name
                       << " and shape " << shape(tensor) << " need " << known->bytes;
      return checkBooleans(tensor, raw);
    }
    return checkTyped(tensor, *known);
  }

  FailureOr<OwnedBytes> external(const TensorProto &tensor, int64_t bytes) const {
    SmallVector<std::pair<std::string, std::string>> entries;
    for (const auto &entry : tensor.external_data())
      entries.emplace_back(entry.key(), entry.value());
    llvm::Expected<ExternalReference> reference = ExternalReference::parse(entries);
    if (!reference)
      return error() << "cannot be read: " << llvm::toString(reference.takeError());
    llvm::Expected<OwnedBytes> data = files.read(*reference, bytes);
    if (!data)
      return error() << "cannot be read: " << llvm::toString(data.takeError());
    return *data;
  }

  /// The tensor's bytes in ONNX's raw layout, taken out of the message when they are in it.
  FailureOr<OwnedBytes> take(TensorProto &tensor, const Layout &known) const {
    if (isExternal(tensor))
      return external(tensor, known.bytes);
    if (tensor.has_raw_data()) {
      auto raw = std::make_shared<std::string>(std::move(*tensor.mutable_raw_data()));
      return OwnedBytes{{raw->data(), raw->size()}, raw};
    }
    switch (typedField(tensor.data_type())) {
    case Field::Float:
      return takeField(*tensor.mutable_float_data());
    case Field::Double:
      return takeField(*tensor.mutable_double_data());
    case Field::Int64:
      return takeField(*tensor.mutable_int64_data());
    case Field::UInt64:
      if (tensor.data_type() == TensorProto::UINT64)
        return takeField(*tensor.mutable_uint64_data());
      return narrow(tensor.uint64_data(), known);
    default:
      if (tensor.data_type() == TensorProto::INT32)
        return takeField(*tensor.mutable_int32_data());
      return narrow(tensor.int32_data(), known);
    }
  }

  static std::string shape(const TensorProto &tensor) {
    std::string text = "[";
    for (auto [index, dim] : llvm::enumerate(tensor.dims()))
      text += (index ? "," : "") + std::to_string(dim);
    return text + "]";
  }

private:
  LogicalResult expectCount(int64_t expected, int64_t given, StringRef unit) const {
    if (expected == given)
      return success();
    return error() << "holds " << given << ' ' << unit << ", its shape needs " << expected;
  }

  /// Data in a field that the dtype does not use would be lost without a word.
  LogicalResult checkFields(const TensorProto &tensor) const {
    std::pair<StringRef, bool> fields[] = {
        {"raw_data", tensor.has_raw_data()},        {"external_data", isExternal(tensor)},
        {"float_data", tensor.float_data_size()},   {"double_data", tensor.double_data_size()},
        {"int32_data", tensor.int32_data_size()},   {"int64_data", tensor.int64_data_size()},
        {"uint64_data", tensor.uint64_data_size()}, {"string_data", tensor.string_data_size()}};
    constexpr StringLiteral byField[] = {"float_data", "double_data", "int32_data",
                                         "int64_data", "uint64_data", "string_data"};
    Field field = typedField(tensor.data_type());
    StringRef own = byField[static_cast<int>(field)];
    StringRef first;
    for (auto [name, present] : fields) {
      if (!present)
        continue;
      if (!first.empty())
        return error() << "has data in both " << first << " and " << name;
      first = name;
      bool raw = name == "raw_data" || name == "external_data";
      if (name != own && (!raw || field == Field::String))
        return error() << "has data in " << name << ", where its dtype has none; expected "
                       << own;
    }
    if (tensor.external_data_size() && !isExternal(tensor))
      return error() << "has external_data but not data_location EXTERNAL";
    return success();
  }

  LogicalResult checkBooleans(const TensorProto &tensor, ArrayRef<char> data) const {
    if (tensor.data_type() != TensorProto::BOOL)
      return success();
    for (char value : data)
      if (value != 0 && value != 1)
        return error() << "is of dtype bool and holds the byte " << unsigned(uint8_t(value))
                       << "; expected 0 or 1";
    return success();
  }

  LogicalResult checkTyped(const TensorProto &tensor, const Layout &known) const {
    // Elements below a byte are packed as in raw_data, a byte in each entry.
    int64_t entries = known.element.bits < 8 ? known.bytes : known.elements;
    switch (typedField(tensor.data_type())) {
    case Field::Float:
      return expectCount(known.bytes / 4, tensor.float_data_size(), "floats");
    case Field::Double:
      return expectCount(known.bytes / 8, tensor.double_data_size(), "doubles");
    case Field::Int64:
      return expectCount(entries, tensor.int64_data_size(), "integers");
    case Field::UInt64:
      if (failed(expectCount(entries, tensor.uint64_data_size(), "integers")))
        return failure();
      return tensor.data_type() == TensorProto::UINT64
                 ? success()
                 : checkRange(tensor.uint64_data(), 0, UINT32_MAX, known);
    default:
      break;
    }
    if (failed(expectCount(entries, tensor.int32_data_size(), "integers")))
      return failure();
    if (tensor.data_type() == TensorProto::INT32)
      return success();
    if (tensor.data_type() == TensorProto::BOOL)
      return checkRange(tensor.int32_data(), 0, 1, known);
    // Writers give bit patterns with and without the sign; both narrow to the same.
    unsigned bits = std::max(known.element.bits, 8u);
    return checkRange(tensor.int32_data(), -(int64_t(1) << (bits - 1)), (int64_t(1) << bits) - 1,
                      known);
  }

  template <typename T>
  LogicalResult checkRange(const RepeatedField<T> &field, int64_t low, int64_t high,
                           const Layout &known) const {
    for (T value : field)
      if ((low < 0 && static_cast<int64_t>(value) < low) ||
          (low == 0 && value < T(0)) || (value > T(0) && uint64_t(value) > uint64_t(high)))
        return error() << "is of dtype " << known.element.name << " and holds " << value
                       << "; expected " << low << " to " << high;
    return success();
  }

  template <typename T>
  static FailureOr<OwnedBytes> takeField(RepeatedField<T> &field) {
    auto owned = std::make_shared<RepeatedField<T>>(std::move(field));
    return OwnedBytes{asBytes(*owned), owned};
  }

  template <typename T>
  static FailureOr<OwnedBytes> narrow(const RepeatedField<T> &field, const Layout &known) {
    auto owned = std::make_shared<std::string>();
    unsigned width = std::max(known.element.bits / 8, 1u);
    owned->reserve(field.size() * width);
    // Little-endian on every host that sq supports: the low bytes come first.
    for (T value : field)
      owned->append(reinterpret_cast<const char *>(&value), width);
    return OwnedBytes{{owned->data(), owned->size()}, owned};
  }

  Location loc;
  std::string what;
  ExternalFiles &files;
};

DenseElementsAttr denseFromBytes(RankedTensorType type, const Layout &known, ArrayRef<char> data) {
  if (known.element.type.isInteger(1)) {
    SmallVector<bool> values;
    for (char value : data)
      values.push_back(value != 0);
    return DenseElementsAttr::get(type, ArrayRef<bool>(values));
  }
  unsigned bits = known.element.bits;
  if (bits >= 8) {
    size_t width = bits / 8;
    // One element stands for all when all are equal: matchers and printers know that form.
    bool splat = known.elements > 0;
    for (size_t at = width; splat && at < data.size(); at += width)
      splat = std::memcmp(data.data(), data.data() + at, width) == 0;
    return DenseElementsAttr::getFromRawBuffer(type, splat ? data.take_front(width) : data);
  }
  SmallVector<APInt> integers;
  for (int64_t i = 0; i < known.elements; ++i) {
    uint8_t byte = data[i * bits / 8];
    integers.emplace_back(bits, (byte >> (i * bits % 8)) & ((1u << bits) - 1));
  }
  auto floatType = dyn_cast<FloatType>(known.element.type);
  if (!floatType)
    return DenseElementsAttr::get(type, integers);
  SmallVector<APFloat> floats;
  for (const APInt &integer : integers)
    floats.emplace_back(floatType.getFloatSemantics(), integer);
  return DenseElementsAttr::get(type, floats);
}

DenseElementsAttr denseStrings(RankedTensorType type, const TensorProto &tensor) {
  SmallVector<StringRef> strings(tensor.string_data().begin(), tensor.string_data().end());
  return DenseElementsAttr::get(type, strings);
}

} // namespace

LogicalResult checkTensor(const TensorProto &tensor, Location loc, const Twine &what,
                          ExternalFiles &files) {
  return TensorReader(loc, what, files).check(tensor);
}

LogicalResult inlineExternal(TensorProto &tensor, Location loc, const Twine &what, ExternalFiles &files,
                             int64_t largest) {
  if (!isExternal(tensor))
    return success();
  TensorReader reader(loc, what, files);
  FailureOr<Layout> known = reader.layout(tensor);
  if (failed(known))
    return failure();
  if (known->bytes > largest)
    return success();
  FailureOr<OwnedBytes> data = reader.external(tensor, known->bytes);
  if (failed(data))
    return failure();
  tensor.set_raw_data(data->bytes.data(), data->bytes.size());
  tensor.clear_external_data();
  tensor.clear_data_location();
  return success();
}

FailureOr<ElementsAttr> convertTensor(TensorProto &tensor, Location loc, const Twine &what,
                                      ExternalFiles &files) {
  TensorReader reader(loc, what, files);
  FailureOr<Layout> known = reader.layout(tensor);
  if (failed(known))
    return failure();
  auto type = RankedTensorType::get(asArray(tensor.dims()), known->element.type);
  if (tensor.data_type() == TensorProto::STRING)
    return ElementsAttr(denseStrings(type, tensor));
  FailureOr<OwnedBytes> data = reader.take(tensor, *known);
  if (failed(data))
    return failure();
  if (known->bytes <= kLargestDenseBytes)
    return ElementsAttr(denseFromBytes(type, *known, data->bytes));
  auto keepAlive = [owner = data->owner](void *, size_t, size_t) {};
  return ElementsAttr(DenseResourceElementsAttr::get(
      type, tensor.name().empty() ? "constant" : tensor.name(),
      UnmanagedAsmResourceBlob::allocateWithAlign(data->bytes, /*align=*/1, keepAlive)));
}

LogicalResult checkSparseTensor(const SparseTensorProto &tensor, Location loc, const Twine &what,
                                ExternalFiles &files) {
  TensorReader reader(loc, what, files);
  const TensorProto &values = tensor.values(), &indices = tensor.indices();
  if (failed(reader.check(values)) || failed(reader.check(indices)))
    return failure();
  FailureOr<Layout> known = reader.layout(values);
  if (failed(known))
    return failure();
  if (values.data_type() == TensorProto::STRING || values.dims_size() != 1)
    return reader.error() << "has sparse values of dtype " << known->element.name << " and shape "
                          << TensorReader::shape(values) << "; expected numbers in one dim";
  ArrayRef<int64_t> dims = asArray(tensor.dims());
  std::optional<int64_t> elements = numElements(dims, known->element.bits);
  if (!elements || dims.empty())
    return reader.error() << "is sparse and has no dims, a negative one, or more than 2^63 bits";
  int64_t count = values.dims(0), rank = dims.size();
  bool linear = indices.dims_size() == 1;
  if (indices.data_type() != TensorProto::INT64 || indices.dims_size() > 2 ||
      indices.dims_size() < 1 || indices.dims(0) != count || (!linear && indices.dims(1) != rank))
    return reader.error() << "has sparse indices of shape " << TensorReader::shape(indices)
                          << "; expected int64 of shape [" << count << "] or [" << count << ","
                          << rank << "]";
  TensorProto copy = indices;
  FailureOr<OwnedBytes> data = reader.take(copy, *reader.layout(indices));
  if (failed(data))
    return failure();
  for (size_t i = 0; i < data->bytes.size() / sizeof(int64_t); ++i) {
    int64_t index;
    std::memcpy(&index, data->bytes.data() + i * sizeof(index), sizeof(index));
    int64_t limit = linear ? *elements : dims[i % rank];
    if (index < 0 || index >= limit)
      return reader.error() << "has the sparse index " << index << "; expected 0 to "
                            << limit - 1;
  }
  return success();
}

FailureOr<ElementsAttr> convertSparseTensor(SparseTensorProto &tensor, Location loc,
                                            const Twine &what, ExternalFiles &files) {
  TensorReader reader(loc, what, files);
  FailureOr<Layout> valueLayout = reader.layout(tensor.values());
  FailureOr<Layout> indexLayout = reader.layout(tensor.indices());
  if (failed(valueLayout) || failed(indexLayout))
    return failure();
  FailureOr<OwnedBytes> values = reader.take(*tensor.mutable_values(), *valueLayout);
  FailureOr<OwnedBytes> indices = reader.take(*tensor.mutable_indices(), *indexLayout);
  if (failed(values) || failed(indices))
    return failure();

  ArrayRef<int64_t> dims = asArray(tensor.dims());
  int64_t count = valueLayout->elements, rank = dims.size();
  SmallVector<int64_t> coordinates(indices->bytes.size() / sizeof(int64_t));
  std::memcpy(coordinates.data(), indices->bytes.data(), indices->bytes.size());
  if (tensor.indices().dims_size() == 1) {
    SmallVector<int64_t> linear = std::move(coordinates);
    coordinates.assign(count * rank, 0);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t d = rank - 1; d >= 0; --d) {
        coordinates[i * rank + d] = linear[i] % dims[d];
        linear[i] /= dims[d];
      }
  }
  Type element = valueLayout->element.type;
  auto indexType = RankedTensorType::get({count, rank}, IntegerType::get(loc.getContext(), 64));
  return ElementsAttr(SparseElementsAttr::get(
      RankedTensorType::get(dims, element), DenseIntElementsAttr::get(indexType, coordinates),
      denseFromBytes(RankedTensorType::get({count}, element), *valueLayout, values->bytes)));
}

} // namespace sq::importer
