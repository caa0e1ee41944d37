#include "codegen/host/AmxTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/KernelHelpers.h"

using namespace mlir;
using namespace sq;

static Value constant(ImplicitLocOpBuilder &b, unsigned bits, int64_t value) {
  return arith::ConstantIntOp::create(b, value, bits);
}

static Value call(ImplicitLocOpBuilder &b, Type type, StringRef name, ValueRange args) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args).getResults();
}

static SmallVector<Value> shape(ImplicitLocOpBuilder &b) {
  return {constant(b, 16, amx::kTileRows), constant(b, 16, amx::kRowBytes)};
}

static Value multiply(ImplicitLocOpBuilder &b, StringRef name, Value sums, Value lhs, Value rhs) {
  Value bytes = constant(b, 16, amx::kRowBytes);
  return call(b, sums.getType(), name, {constant(b, 16, amx::kTileRows), bytes, bytes, sums, lhs, rhs});
}

Value amx::address(ImplicitLocOpBuilder &b, Value memref, Value element) {
  int64_t bytes = cast<MemRefType>(memref.getType()).getElementTypeBitWidth() / 8;
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  Value at = arith::AddIOp::create(b, base, arith::MulIOp::create(b, element, indexConstant(b, bytes)));
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), at);
  return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), ValueRange(bits));
}

Value amx::strideOf(ImplicitLocOpBuilder &b, int64_t bytes) { return constant(b, 64, bytes); }

Value amx::loadTile(ImplicitLocOpBuilder &b, Value from, Value stride, bool stream) {
  SmallVector<Value> args = shape(b);
  llvm::append_values(args, from, stride);
  return call(b, LLVM::LLVMX86AMXType::get(b.getContext()),
              stream ? "llvm.x86.tileloaddt164.internal" : "llvm.x86.tileloadd64.internal", args);
}

void amx::storeTile(ImplicitLocOpBuilder &b, Value tile, Value to, Value stride) {
  SmallVector<Value> args = shape(b);
  llvm::append_values(args, to, stride, tile);
  LLVM::CallIntrinsicOp::create(b, b.getStringAttr("llvm.x86.tilestored64.internal"), args);
}

Value amx::zeroLines(ImplicitLocOpBuilder &b) {
  Value lines = memref::AllocaOp::create(b, MemRefType::get({4 * kRowBytes}, b.getI8Type()), b.getI64IntegerAttr(kRowBytes));
  Value line = arith::ConstantOp::create(b, b.getZeroAttr(VectorType::get({kRowBytes}, b.getI8Type())));
  for (int64_t i = 0; i < 4; ++i)
    vector::StoreOp::create(b, line, lines, ValueRange(indexConstant(b, i * kRowBytes)));
  return lines;
}

Value amx::multiplyBf16(ImplicitLocOpBuilder &b, Value sums, Value lhs, Value rhs) {
  return multiply(b, "llvm.x86.tdpbf16ps.internal", sums, lhs, rhs);
}

Value amx::multiplyBytes(ImplicitLocOpBuilder &b, Value sums, Value lhs, Value rhs, Signs signs) {
  StringRef name = signs == Signs::UnsignedSigned   ? "llvm.x86.tdpbusd.internal"
                   : signs == Signs::SignedUnsigned ? "llvm.x86.tdpbsud.internal"
                                                    : "llvm.x86.tdpbssd.internal";
  return multiply(b, name, sums, lhs, rhs);
}

Value amx::blocksPerTask(ImplicitLocOpBuilder &b, Value blocks, Value heads) {
  Value threads = ThreadsOp::create(b, b.getIndexType()), zero = indexConstant(b, 0);
  Value rest = arith::RemUIOp::create(b, heads, threads), many = arith::MulIOp::create(b, threads, indexConstant(b, 4));
  Value isWhole = arith::OrIOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rest, zero),
                                       arith::CmpIOp::create(b, arith::CmpIPredicate::uge, heads, many));
  Value some = arith::SelectOp::create(b, isWhole, blocks, ceilDiv(b, blocks, threads));
  return arith::MaxUIOp::create(b, some, indexConstant(b, 1));
}

Value amx::toBf16(ImplicitLocOpBuilder &b, Value low, Value high) {
  return call(b, VectorType::get({32}, b.getBF16Type()), "llvm.x86.avx512bf16.cvtne2ps2bf16.512", {high, low});
}
