#include "codegen/host/Bytes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;

Value sq::multiplyBytes(ImplicitLocOpBuilder &b, const HostTarget &target, Value unsignedBytes, Value signedBytes, Value sum) {
  auto call = [&](StringRef name, ValueRange args) {
    return LLVM::CallIntrinsicOp::create(b, sum.getType(), b.getStringAttr(name), args).getResult(0);
  };
  auto as = [&](VectorType type, Value v) -> Value {
    return v.getType() == type ? v : Value(vector::BitCastOp::create(b, type, v));
  };
  auto bytesOf = VectorType::get({4 * target.lanes}, b.getI8Type());
  auto wordsOf = VectorType::get({2 * target.lanes}, b.getI16Type());
  if (target.vnni)
    return call("llvm.x86.avx512.vpdpbusd.512", {sum, as(bytesOf, unsignedBytes), as(bytesOf, signedBytes)});
  Value eight = arith::ConstantOp::create(b, DenseElementsAttr::get(wordsOf, b.getI16IntegerAttr(8)));
  Value low = arith::ConstantOp::create(b, DenseElementsAttr::get(wordsOf, b.getI16IntegerAttr(255)));
  Value left = as(wordsOf, unsignedBytes), right = as(wordsOf, signedBytes);
  Value evenLeft = arith::AndIOp::create(b, left, low), oddLeft = arith::ShRUIOp::create(b, left, eight);
  Value oddRight = arith::ShRSIOp::create(b, right, eight);
  Value evenRight = arith::ShRSIOp::create(b, arith::ShLIOp::create(b, right, eight), eight);
  StringRef name = target.lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  sum = arith::AddIOp::create(b, sum, call(name, {evenLeft, evenRight}));
  return arith::AddIOp::create(b, sum, call(name, {oddLeft, oddRight}));
}

Value sq::broadcastFour(ImplicitLocOpBuilder &b, VectorType type, Value memref, ValueRange at) {
  Value four = vector::LoadOp::create(b, VectorType::get({4}, b.getI8Type()), memref, at);
  Value one = vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()), four);
  return vector::BroadcastOp::create(b, type, vector::ExtractOp::create(b, one, 0));
}
