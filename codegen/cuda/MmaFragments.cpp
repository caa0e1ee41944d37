#include "codegen/cuda/MmaFragments.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

Type sq::cuda::factorType(Builder &b, MmaProduct::Factors factors) {
  return factors == MmaProduct::F16    ? b.getF16Type()
         : factors == MmaProduct::BF16 ? b.getBF16Type()
                                       : Type(b.getF32Type());
}

Value sq::cuda::toTf32(ImplicitLocOpBuilder &b, Value v) {
  auto vector = dyn_cast<VectorType>(v.getType());
  Type words = vector ? Type(vector.clone(b.getI32Type())) : b.getI32Type();
  auto constant = [&](int32_t value) -> Value {
    TypedAttr attr = b.getI32IntegerAttr(value);
    if (vector)
      attr = DenseElementsAttr::get(cast<ShapedType>(words),
                                    cast<Attribute>(attr));
    return arith::ConstantOp::create(b, attr);
  };
  Value bits = arith::BitcastOp::create(b, words, v);
  Value near = arith::AndIOp::create(
      b, arith::AddIOp::create(b, bits, constant(0x1000)), constant(~0x1fff));
  Value nan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, v, v);
  return arith::BitcastOp::create(b, v.getType(),
                                  arith::SelectOp::create(b, nan, bits, near));
}

Value sq::cuda::asRegister(ImplicitLocOpBuilder &b, Value pair) {
  if (cast<VectorType>(pair.getType()).getElementType().isF16())
    return pair;
  auto words = VectorType::get({1}, b.getI32Type());
  return vector::ExtractOp::create(b, vector::BitCastOp::create(b, words, pair),
                                   0);
}

SmallVector<Value> sq::cuda::loadMatrices(ImplicitLocOpBuilder &b, Value shared,
                                          ValueRange at, int64_t count,
                                          bool transposed) {
  auto type = VectorType::get(
      {count, 2}, cast<MemRefType>(shared.getType()).getElementType());
  Value f = nvgpu::LdMatrixOp::create(
      b, type, shared, at, b.getBoolAttr(transposed),
      b.getI32IntegerAttr(static_cast<int32_t>(count)));
  SmallVector<Value> registers;
  for (int64_t i = 0; i < count; ++i)
    registers.push_back(asRegister(b, vector::ExtractOp::create(b, f, i)));
  return registers;
}

void sq::cuda::multiplyFragments(ImplicitLocOpBuilder &b,
                                 MmaProduct::Factors factors, ArrayRef<Value> a,
                                 ArrayRef<Value> c,
                                 MutableArrayRef<Value> sums) {
  SmallVector<Value> args(a);
  llvm::append_range(args, c);
  llvm::append_range(args, sums);
  StringRef name =
      factors == MmaProduct::F16    ? "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
      : factors == MmaProduct::BF16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16"
                                    : "llvm.nvvm.mma.m16n8k8.row.col.tf32";
  auto four = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  Value d = LLVM::CallIntrinsicOp::create(b, four, b.getStringAttr(name), args)
                .getResult(0);
  for (int64_t i = 0; i < 4; ++i)
    sums[i] = LLVM::ExtractValueOp::create(b, d, i);
}
