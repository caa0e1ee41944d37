//===-- Lookup.cpp - a table of 256 bytes -------------------------------------===//
//
// Sixteen entries are one byte shuffle, which gives 0 where the index has its high
// bit set: with 0x70 added, saturating, these are all indices but the sixteen of
// the part. A gather instead costs a load per byte. (vpermi2b would take 128
// entries at once, but no level has AVX512_VBMI.)
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kBytesPerThread = 1 << 15;

/// A dense memref as one dim.
Value flatten(ImplicitLocOpBuilder &b, Value memref) {
  int64_t rank = cast<MemRefType>(memref.getType()).getRank();
  if (rank == 1)
    return memref;
  if (rank == 0)
    return memref::ExpandShapeOp::create(b, ArrayRef<int64_t>{1}, memref, ArrayRef<ReassociationIndices>());
  return memref::CollapseShapeOp::create(b, memref, ArrayRef<ReassociationIndices>(llvm::to_vector(llvm::seq<int64_t>(0, rank))));
}

struct Emitter {
  LookupOp op;
  const TiledTarget &target;
  VectorType type;
  Value x, y;
  SmallVector<Value> parts; // sixteen entries in every 16 lanes

  Value splat(ImplicitLocOpBuilder &b, int64_t value) {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(type, b.getI8IntegerAttr(static_cast<int8_t>(value))));
  }
  Value call(ImplicitLocOpBuilder &b, StringRef name, ValueRange args) {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args).getResult(0);
  }

  Value lookUp(ImplicitLocOpBuilder &b, Value index) {
    StringRef shuffle = target.lanes == 16 ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b";
    std::string add = "llvm.uadd.sat.v" + std::to_string(type.getNumElements()) + "i8";
    Value high = splat(b, 0x70), step = splat(b, 16), result;
    for (Value part : parts) {
      Value entry = call(b, shuffle, {part, call(b, add, {index, high})});
      result = result ? Value(arith::OrIOp::create(b, result, entry)) : entry;
      index = arith::SubIOp::create(b, index, step);
    }
    return result;
  }

  void emit(ImplicitLocOpBuilder &b) {
    int64_t width = 4 * target.lanes;
    type = VectorType::get({width}, b.getI8Type());
    x = flatten(b, denseMemref(b, op.getX()));
    y = flatten(b, op.getOuts());
    auto table = op.getTable().getValues<int32_t>();
    Value count = dimOf(b, x, 0), each = indexConstant(b, width);
    Value vectors = ceilDiv(b, count, each);
    ParallelOp::create(b, kernelName("lookup", op.getLoc()), vectors, indexConstant(b, kBytesPerThread / width),
                       [&](OpBuilder &o, Location l, ValueRange range) {
                         ImplicitLocOpBuilder pb(l, o);
                         for (int64_t part = 0; part < 16; ++part) {
                           SmallVector<int8_t> entries;
                           for (int64_t lane = 0; lane < width; ++lane)
                             entries.push_back(static_cast<int8_t>(table[16 * part + lane % 16]));
                           parts.push_back(arith::ConstantOp::create(pb, DenseElementsAttr::get(type, ArrayRef(entries))));
                         }
                         Value whole = arith::MinUIOp::create(pb, range[1], arith::DivUIOp::create(pb, count, each));
                         loop(pb, range[0], whole, 1, [&](ImplicitLocOpBuilder &ib, Value i) {
                           Value at = arith::MulIOp::create(ib, i, each);
                           vector::StoreOp::create(ib, lookUp(ib, vector::LoadOp::create(ib, type, x, at)), y, at);
                         });
                         // What is left of the last vector.
                         loop(pb, arith::MaxUIOp::create(pb, range[0], whole), range[1], 1, [&](ImplicitLocOpBuilder &ib, Value i) {
                           Value at = arith::MulIOp::create(ib, i, each);
                           Value mask = vector::CreateMaskOp::create(ib, VectorType::get({width}, ib.getI1Type()),
                                                                     ValueRange(arith::SubIOp::create(ib, count, at)));
                           Value index = vector::MaskedLoadOp::create(ib, type, x, at, mask, splat(ib, 0));
                           vector::MaskedStoreOp::create(ib, y, at, mask, lookUp(ib, index));
                         });
                       });
  }
};

} // namespace

LogicalResult sq::lowerLookup(RewriterBase &rewriter, LookupOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  auto type = cast<MemRefType>(op.getOuts().getType());
  if (!type.getElementType().isInteger(8) || !type.getLayout().isIdentity())
    return op.emitOpError("has no kernel for ") << type << "; only dense bytes";
  Emitter{op, target, {}, {}, {}, {}}.emit(b);
  rewriter.eraseOp(op);
  return success();
}
