#include "lib/importer/Types.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/MathExtras.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Messages.h"

using namespace mlir;
using ::onnx::TensorProto;
using ::onnx::TypeProto;

namespace sq::importer {

std::optional<ElementInfo> elementInfo(int32_t dataType, MLIRContext *context) {
  Builder b(context);
  auto sint = [&](unsigned bits, StringRef name) {
    return ElementInfo{b.getIntegerType(bits), bits, name};
  };
  auto uint = [&](unsigned bits, StringRef name) {
    return ElementInfo{b.getIntegerType(bits, /*isSigned=*/false), bits, name};
  };
  switch (dataType) {
  case TensorProto::FLOAT:
    return ElementInfo{b.getF32Type(), 32, "float"};
  case TensorProto::DOUBLE:
    return ElementInfo{b.getF64Type(), 64, "double"};
  case TensorProto::FLOAT16:
    return ElementInfo{b.getF16Type(), 16, "float16"};
  case TensorProto::BFLOAT16:
    return ElementInfo{b.getBF16Type(), 16, "bfloat16"};
  case TensorProto::FLOAT8E4M3FN:
    return ElementInfo{b.getType<Float8E4M3FNType>(), 8, "float8e4m3fn"};
  case TensorProto::FLOAT8E4M3FNUZ:
    return ElementInfo{b.getType<Float8E4M3FNUZType>(), 8, "float8e4m3fnuz"};
  case TensorProto::FLOAT8E5M2:
    return ElementInfo{b.getType<Float8E5M2Type>(), 8, "float8e5m2"};
  case TensorProto::FLOAT8E5M2FNUZ:
    return ElementInfo{b.getType<Float8E5M2FNUZType>(), 8, "float8e5m2fnuz"};
  case TensorProto::FLOAT8E8M0:
    return ElementInfo{b.getType<Float8E8M0FNUType>(), 8, "float8e8m0"};
  case TensorProto::FLOAT4E2M1:
    return ElementInfo{b.getType<Float4E2M1FNType>(), 4, "float4e2m1"};
  case TensorProto::BOOL:
    return ElementInfo{b.getI1Type(), 8, "bool"};
  case TensorProto::INT2:
    return sint(2, "int2");
  case TensorProto::INT4:
    return sint(4, "int4");
  case TensorProto::INT8:
    return sint(8, "int8");
  case TensorProto::INT16:
    return sint(16, "int16");
  case TensorProto::INT32:
    return sint(32, "int32");
  case TensorProto::INT64:
    return sint(64, "int64");
  case TensorProto::UINT2:
    return uint(2, "uint2");
  case TensorProto::UINT4:
    return uint(4, "uint4");
  case TensorProto::UINT8:
    return uint(8, "uint8");
  case TensorProto::UINT16:
    return uint(16, "uint16");
  case TensorProto::UINT32:
    return uint(32, "uint32");
  case TensorProto::UINT64:
    return uint(64, "uint64");
  case TensorProto::COMPLEX64:
    return ElementInfo{ComplexType::get(b.getF32Type()), 64, "complex64"};
  case TensorProto::COMPLEX128:
    return ElementInfo{ComplexType::get(b.getF64Type()), 128, "complex128"};
  case TensorProto::STRING:
    return ElementInfo{onnx::StringType::get(context), 0, "string"};
  default:
    return std::nullopt;
  }
}

std::optional<int64_t> numElements(ArrayRef<int64_t> dims, unsigned bits) {
  int64_t product = 1;
  bool empty = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return std::nullopt;
    if (dim == 0)
      empty = true;
    else if (llvm::MulOverflow(product, dim, product))
      return std::nullopt;
  }
  int64_t ignored;
  if (llvm::MulOverflow(product, static_cast<int64_t>(std::max(bits, 1u)), ignored))
    return std::nullopt;
  return empty ? 0 : product;
}

namespace {

class Converter {
public:
  Converter(Location loc, const Twine &what) : loc(loc), what(what) {}

  FailureOr<Type> convert(const TypeProto &type) {
    MLIRContext *context = loc.getContext();
    switch (type.value_case()) {
    case TypeProto::kTensorType:
      return convertTensor(type.tensor_type());
    case TypeProto::kSparseTensorType: {
      FailureOr<Type> dense = convertTensor(type.sparse_tensor_type());
      if (failed(dense))
        return failure();
      return Type(onnx::SparseType::get(context, *dense));
    }
    case TypeProto::kSequenceType: {
      FailureOr<Type> element = convert(type.sequence_type().elem_type());
      if (failed(element))
        return failure();
      return Type(onnx::SeqType::get(context, *element));
    }
    case TypeProto::kOptionalType: {
      FailureOr<Type> element = convert(type.optional_type().elem_type());
      if (failed(element))
        return failure();
      return Type(onnx::OptType::get(context, *element));
    }
    case TypeProto::kMapType: {
      std::optional<ElementInfo> key = elementInfo(type.map_type().key_type(), context);
      if (!key)
        return error() << "has a map key of unknown element type " << type.map_type().key_type();
      FailureOr<Type> value = convert(type.map_type().value_type());
      if (failed(value))
        return failure();
      return Type(onnx::MapType::get(context, key->type, *value));
    }
    default:
      return Type(onnx::UnknownType::get(context));
    }
  }

private:
  InFlightDiagnostic error() { return emitError(loc) << what.str() << ' '; }

  template <typename TensorType>
  FailureOr<Type> convertTensor(const TensorType &tensor) {
    MLIRContext *context = loc.getContext();
    // Shape inference leaves 0 where it knows a shape but no element type.
    if (tensor.elem_type() == TensorProto::UNDEFINED)
      return Type(onnx::UnknownType::get(context));
    std::optional<ElementInfo> element = elementInfo(tensor.elem_type(), context);
    if (!element)
      return error() << "has the unknown element type " << tensor.elem_type();
    if (!tensor.has_shape())
      return Type(UnrankedTensorType::get(element->type));
    SmallVector<int64_t> dims, known;
    for (const auto &dim : tensor.shape().dim()) {
      if (!dim.has_dim_value()) {
        dims.push_back(ShapedType::kDynamic);
        continue;
      }
      if (dim.dim_value() < 0)
        return error() << "has size " << dim.dim_value() << " in dim " << dims.size()
                       << "; a dim that is not known has a name (dim_param) or nothing";
      dims.push_back(dim.dim_value());
      known.push_back(dim.dim_value());
    }
    if (!numElements(known, element->bits))
      return error() << "has a shape of more than 2^63 bits";
    return Type(RankedTensorType::get(dims, element->type));
  }

  Location loc;
  const Twine &what;
};

} // namespace

FailureOr<Type> convertType(const TypeProto &type, Location loc, const Twine &what) {
  return Converter(loc, what).convert(type);
}

} // namespace sq::importer
