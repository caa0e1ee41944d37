/// Element types: what ONNX has, how lowered tensors store it, what the runtime calls it.
#include "passes/lower_onnx/Lowering.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sq;

Type sq::elementTypeOf(MLIRContext *context, int64_t dataType) {
  Builder b(context);
  auto integer = [&](unsigned width, bool isUnsigned) {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  // TensorProto.DataType of onnx.proto.
  switch (dataType) {
  case 1:
    return b.getF32Type();
  case 2:
    return integer(8, true);
  case 3:
    return integer(8, false);
  case 4:
    return integer(16, true);
  case 5:
    return integer(16, false);
  case 6:
    return integer(32, false);
  case 7:
    return integer(64, false);
  case 9:
    return integer(1, false);
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return integer(32, true);
  case 13:
    return integer(64, true);
  case 16:
    return b.getBF16Type();
  case 17:
    return b.getType<Float8E4M3FNType>();
  case 18:
    return b.getType<Float8E4M3FNUZType>();
  case 19:
    return b.getType<Float8E5M2Type>();
  case 20:
    return b.getType<Float8E5M2FNUZType>();
  case 21:
    return integer(4, true);
  case 22:
    return integer(4, false);
  case 23:
    return b.getType<Float4E2M1FNType>();
  case 24:
    return b.getType<Float8E8M0FNUType>();
  case 25:
    return integer(2, true);
  case 26:
    return integer(2, false);
  default:
    return Type();
  }
}

const SmallFloat *sq::smallFloatOf(Type element) {
  return isa<Float8E4M3FNType>(element)     ? &float8E4M3FN
         : isa<Float8E4M3FNUZType>(element) ? &float8E4M3FNUZ
         : isa<Float8E5M2Type>(element)     ? &float8E5M2
         : isa<Float8E5M2FNUZType>(element) ? &float8E5M2FNUZ
         : isa<Float8E8M0FNUType>(element)  ? &float8E8M0
         : isa<Float4E2M1FNType>(element)   ? &float4E2M1
                                            : nullptr;
}

bool sq::isStorageOnly(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return smallFloatOf(element) || (integer && (integer.getWidth() == 2 || integer.getWidth() == 4));
}

Type sq::signless(Type element) {
  if (isStorageOnly(element))
    return IntegerType::get(element.getContext(), 8);
  if (auto integer = dyn_cast<IntegerType>(element))
    return IntegerType::get(element.getContext(), integer.getWidth());
  return element;
}

StringRef sq::dtypeName(Type element) {
  if (const SmallFloat *format = smallFloatOf(element))
    return format->name;
  if (auto integer = dyn_cast<IntegerType>(element)) {
    bool u = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return u ? "" : "bool8";
    case 2:
      return u ? "u2" : "i2";
    case 4:
      return u ? "u4" : "i4";
    case 8:
      return u ? "u8" : "i8";
    case 16:
      return u ? "u16" : "i16";
    case 32:
      return u ? "u32" : "i32";
    case 64:
      return u ? "u64" : "i64";
    default:
      return "";
    }
  }
  return element.isF32()    ? "f32"
         : element.isF64()  ? "f64"
         : element.isF16()  ? "f16"
         : element.isBF16() ? "bf16"
                            : "";
}

/// An integer of 8 bits with the value, or the code of a float.
static APInt storedByte(const APInt &value, bool isSigned) {
  return isSigned ? value.sext(8) : value.zext(8);
}

ElementsAttr sq::storedConstant(ElementsAttr value) {
  Type element = value.getElementType(), stored = signless(element);
  if (stored == element)
    return value;
  unsigned bits = element.getIntOrFloatBitWidth();
  bool isSigned = isa<IntegerType>(element) && !element.isUnsignedInteger();
  auto shaped = cast<ShapedType>(value.getType()).clone(stored);
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (bits >= 8)
      return dense.bitcast(stored);
    if (isa<FloatType>(element))
      return dense.mapValues(stored, [](const APFloat &x) {
        return storedByte(x.bitcastToAPInt(), /*isSigned=*/false);
      });
    return dense.mapValues(stored, [&](const APInt &x) { return storedByte(x, isSigned); });
  }
  auto resource = cast<DenseResourceElementsAttr>(value);
  if (bits >= 8)
    return DenseResourceElementsAttr::get(shaped, resource.getRawHandle());
  // Packed, the first element in the low bits.
  ArrayRef<char> packed = resource.getRawHandle().getBlob()->getData();
  int64_t count = shaped.getNumElements();
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(count, /*align=*/64);
  MutableArrayRef<char> bytes = blob.getMutableData();
  for (int64_t i = 0; i < count; ++i) {
    APInt x(bits, (uint8_t(packed[i * bits / 8]) >> (i * bits % 8)) & ((1u << bits) - 1));
    bytes[i] = static_cast<char>(storedByte(x, isSigned).getZExtValue());
  }
  return DenseResourceElementsAttr::get(shaped, resource.getRawHandle().getKey(), std::move(blob));
}

bool sq::movesOrConverts(StringRef rule) {
  // None of these computes with the elements of its data.
  static const llvm::StringSet<> names = {
      "onnx.BitCast", "onnx.Cast", "onnx.CastLike", "onnx.Compress", "onnx.Concat",
      "onnx.Constant", "onnx.ConstantOfShape", "onnx.DepthToSpace", "onnx.DequantizeLinear",
      "onnx.Expand", "onnx.Flatten", "onnx.Gather", "onnx.GatherElements", "onnx.GatherND",
      "onnx.Identity", "onnx.If", "onnx.Loop", "onnx.QuantizeLinear", "onnx.Reshape",
      "onnx.ReverseSequence", "onnx.Scan", "onnx.Shape", "onnx.Size", "onnx.Slice",
      "onnx.SpaceToDepth", "onnx.Split", "onnx.Squeeze", "onnx.Tile", "onnx.Transpose",
      "onnx.Unsqueeze", "onnx.Where", "com.microsoft.DequantizeLinear",
      "com.microsoft.GatherBlockQuantized", "com.microsoft.QuantizeLinear"};
  return names.contains(rule);
}
