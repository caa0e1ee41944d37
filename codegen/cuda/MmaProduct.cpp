//===-- MmaProduct.cpp - a tile of a linear layer on tensor cores -------------===//
//
// Four warps of 32 x 32 results each. Weights come through cp.async, three steps
// of k ahead; rows of x pass through registers, where they are rounded to the
// factors' type, one step ahead. Rows in shared memory are padded, so
// that the eight rows of an ldmatrix lie in different banks (80 and 144 bytes
// apart for 16-bit factors; 80 and 288 for tf32). Fragments are those of mma.m16n8k16 and m16n8k8 in
// the PTX ISA manual, "Matrix Fragments".
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/MmaProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kStages = 3;   // tiles of weights in shared memory
constexpr int64_t kWarpTile = 32; // rows and columns of a warp
constexpr int64_t kMmaRows = 16, kMmaColumns = 8;
constexpr int64_t kVector = 4;   // floats of x that a thread loads at once

Type factorType(Builder &b, MmaProduct::Factors factors) {
  return factors == MmaProduct::F16 ? b.getF16Type() : factors == MmaProduct::BF16 ? b.getBF16Type() : Type(b.getF32Type());
}

struct Emitter {
  MmaProduct &p;
  Thread &t;
  ImplicitLocOpBuilder *b; // where code goes now
  Value firstRow, panel, begin, end;
  // Of a thread:
  Value lane, warpRow, warpColumn; // the warp's place in the tile
  Value copies;                    // token of queued copies

  bool wide() const { return p.factors == MmaProduct::TF32; }
  int64_t step() const { return p.step(); }              // of k in a stage
  int64_t mmaDepth() const { return wide() ? 8 : 16; }
  int64_t chunk() const { return wide() ? 4 : 8; }       // factors in 16 bytes

  Value num(int64_t v) { return indexConstant(*b, v); }
  Value add(Value a, Value c) { return b->createOrFold<arith::AddIOp>(a, c); }
  Value add(Value a, int64_t c) { return plus(*b, a, c); }
  Value times(Value a, int64_t c) { return b->createOrFold<arith::MulIOp>(a, num(c)); }
  Value over(Value a, int64_t c) { return b->createOrFold<arith::DivUIOp>(a, num(c)); }
  Value mod(Value a, int64_t c) { return b->createOrFold<arith::RemUIOp>(a, num(c)); }

  /// Floats of x as factors.
  Value rounded(Value v) {
    auto type = cast<VectorType>(v.getType());
    if (wide())
      return toTf32(v);
    return arith::TruncFOp::create(*b, type.clone(factorType(*b, p.factors)), v);
  }

  /// f32 (or a vector of it) to the nearest tf32, whose lower 13 bits are 0, as
  /// cvt.rna.tf32 does; a NaN stays as it is.
  Value toTf32(Value v) {
    auto vector = dyn_cast<VectorType>(v.getType());
    Type words = vector ? Type(vector.clone(b->getI32Type())) : b->getI32Type();
    auto constant = [&](int32_t value) -> Value {
      TypedAttr attr = b->getI32IntegerAttr(value);
      if (vector)
        attr = DenseElementsAttr::get(cast<ShapedType>(words), cast<Attribute>(attr));
      return arith::ConstantOp::create(*b, attr);
    };
    Value bits = arith::BitcastOp::create(*b, words, v);
    Value near = arith::AndIOp::create(*b, arith::AddIOp::create(*b, bits, constant(0x1000)), constant(~0x1fff));
    Value nan = arith::CmpFOp::create(*b, arith::CmpFPredicate::UNO, v, v);
    return arith::BitcastOp::create(*b, v.getType(), arith::SelectOp::create(*b, nan, bits, near));
  }

  // Loads of x by this thread in a step: rows of `step` floats in vectors.
  int64_t loadsOfX() const { return MmaProduct::kRows * step() / (MmaProduct::kThreads * kVector); }
  std::pair<Value, Value> placeOfX(int64_t i) { // row, column in the tile
    Value index = add(t.thread, i * MmaProduct::kThreads);
    return {over(index, step() / kVector), times(mod(index, step() / kVector), kVector)};
  }

  /// x of the step at k0, zero beyond its rows and columns.
  SmallVector<Value> loadX(Value k0) {
    auto four = VectorType::get({kVector}, b->getF32Type());
    Value zero = arith::ConstantOp::create(*b, b->getZeroAttr(four));
    SmallVector<Value> result;
    for (int64_t i = 0; i < loadsOfX(); ++i) {
      auto [row, column] = placeOfX(i);
      Value m = add(firstRow, row), k = add(k0, column);
      Value inside = arith::AndIOp::create(*b, below(*b, m, p.rows), below(*b, k, end));
      result.push_back(scf::IfOp::create(
                           *b, inside,
                           [&](OpBuilder &o, Location l) {
                             ImplicitLocOpBuilder ib(l, o);
                             Value v;
                             if (p.depth % kVector == 0) {
                               v = vector::LoadOp::create(ib, four, p.x, ValueRange{m, k}, false, llvm::Align(16));
                             } else {
                               v = zero;
                               for (int64_t j = 0; j < kVector; ++j) {
                                 Value at = plus(ib, k, j), last = indexConstant(ib, p.depth - 1);
                                 Value one = memref::LoadOp::create(ib, p.x, ValueRange{m, arith::MinUIOp::create(ib, at, last)});
                                 one = arith::SelectOp::create(ib, below(ib, at, indexConstant(ib, p.depth)), one, f32Constant(ib, 0.0));
                                 v = vector::InsertOp::create(ib, one, v, j);
                               }
                             }
                             scf::YieldOp::create(ib, v);
                           },
                           [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, zero); })
                           .getResult(0));
    }
    return result;
  }

  void storeX(ValueRange values, Value slot) {
    for (int64_t i = 0; i < loadsOfX(); ++i) {
      auto [row, column] = placeOfX(i);
      vector::StoreOp::create(*b, rounded(values[i]), t.shared[0], ValueRange{slot, row, column}, false,
                              llvm::Align(wide() ? 16 : 8));
    }
  }

  /// Queues the copy of the weights of the step at k0; nothing past the last.
  void copyWeights(Value k0, Value slot) {
    int64_t perRow = MmaProduct::kColumns / chunk(), each = step() * perRow / MmaProduct::kThreads;
    onlyIf(*b, below(*b, k0, end), [&](ImplicitLocOpBuilder &ib) {
      ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
      for (int64_t i = 0; i < each; ++i) {
        Value index = add(t.thread, i * MmaProduct::kThreads);
        Value row = over(index, perRow), column = times(mod(index, perRow), chunk());
        Value k = add(k0, row), exists;
        if (p.depth % step() != 0) { // rows past the last become zeros
          Value inside = below(ib, k, num(p.depth));
          exists = arith::SelectOp::create(ib, inside, num(chunk()), num(0));
          k = arith::MinUIOp::create(ib, k, num(p.depth - 1));
        }
        nvgpu::DeviceAsyncCopyOp::create(ib, nvgpu::DeviceAsyncTokenType::get(ib.getContext()), t.shared[1],
                                         ValueRange{slot, row, column}, p.weight, ValueRange{panel, k, column},
                                         ib.getIndexAttr(chunk()), exists, /*bypassL1=*/ib.getUnitAttr());
      }
      b = outer;
    });
    copies = nvgpu::DeviceAsyncCreateGroupOp::create(*b, nvgpu::DeviceAsyncTokenType::get(b->getContext()), ValueRange());
  }

  Value register32(Value fragment, int64_t i) { // two 16-bit factors or one of 32
    Value v = vector::ExtractOp::create(*b, fragment, i);
    if (p.factors == MmaProduct::F16)
      return v;
    auto words = VectorType::get({1}, b->getI32Type());
    return vector::ExtractOp::create(*b, vector::BitCastOp::create(*b, words, v), 0);
  }

  /// Registers of A for the 16 rows at `row` and the k at `k`.
  SmallVector<Value> fragmentA(Value slot, Value row, int64_t k) {
    SmallVector<Value> registers;
    if (!wide()) {
      auto type = VectorType::get({4, 2}, factorType(*b, p.factors));
      Value f = nvgpu::LdMatrixOp::create(*b, type, t.shared[0],
                                          ValueRange{slot, add(row, mod(lane, 16)), add(times(over(lane, 16), 8), k)},
                                          b->getBoolAttr(false), b->getI32IntegerAttr(4));
      for (int64_t i = 0; i < 4; ++i)
        registers.push_back(register32(f, i));
      return registers;
    }
    // (group, k), (group + 8, k), (group, k + 4), (group + 8, k + 4)
    for (int64_t i = 0; i < 4; ++i)
      registers.push_back(word(t.shared[0], /*round=*/false, {slot, add(add(row, over(lane, 4)), i % 2 * 8), add(mod(lane, 4), k + i / 2 * 4)}));
    return registers;
  }

  /// Registers of B for 16 columns at `column`, of the left and the right 8.
  SmallVector<Value> fragmentB(Value slot, Value column, int64_t k) {
    SmallVector<Value> registers;
    if (!wide()) {
      auto type = VectorType::get({4, 2}, factorType(*b, p.factors));
      Value f = nvgpu::LdMatrixOp::create(*b, type, t.shared[1],
                                          ValueRange{slot, add(mod(lane, 16), k), add(column, times(over(lane, 16), 8))},
                                          b->getBoolAttr(true), b->getI32IntegerAttr(4));
      for (int64_t i = 0; i < 4; ++i)
        registers.push_back(register32(f, i));
      return registers;
    }
    // (k, group), (k + 4, group) of each 8 columns
    for (int64_t i = 0; i < 4; ++i)
      registers.push_back(word(t.shared[1], /*round=*/true, {slot, add(mod(lane, 4), k + i % 2 * 4), add(add(column, over(lane, 4)), i / 2 * 8)}));
    return registers;
  }

  Value word(Value memref, bool round, ArrayRef<Value> at) {
    Value v = memref::LoadOp::create(*b, memref, ValueRange(at));
    return arith::BitcastOp::create(*b, b->getI32Type(), round ? toTf32(v) : v);
  }

  void multiply(ArrayRef<Value> a, ArrayRef<Value> c, MutableArrayRef<Value> sums) {
    SmallVector<Value> args(a);
    llvm::append_range(args, c);
    llvm::append_range(args, sums);
    StringRef name = p.factors == MmaProduct::F16    ? "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
                     : p.factors == MmaProduct::BF16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16"
                                                     : "llvm.nvvm.mma.m16n8k8.row.col.tf32";
    auto four = LLVM::LLVMStructType::getLiteral(b->getContext(), SmallVector<Type>(4, b->getF32Type()));
    Value d = LLVM::CallIntrinsicOp::create(*b, four, b->getStringAttr(name), args).getResult(0);
    for (int64_t i = 0; i < 4; ++i)
      sums[i] = LLVM::ExtractValueOp::create(*b, d, i);
  }

  static constexpr int64_t kTilesM = kWarpTile / kMmaRows, kTilesN = kWarpTile / kMmaColumns;

  void multiplyStep(Value slotX, Value slotW, MutableArrayRef<Value> sums) {
    for (int64_t k = 0; k < step(); k += mmaDepth()) {
      SmallVector<SmallVector<Value>> a, c;
      for (int64_t i = 0; i < kTilesM; ++i)
        a.push_back(fragmentA(slotX, add(warpRow, i * kMmaRows), k));
      for (int64_t j = 0; j < kTilesN; j += 2) {
        SmallVector<Value> two = fragmentB(slotW, add(warpColumn, j * kMmaColumns), k);
        c.push_back({two[0], two[1]});
        c.push_back({two[2], two[3]});
      }
      for (int64_t i = 0; i < kTilesM; ++i)
        for (int64_t j = 0; j < kTilesN; ++j)
          multiply(a[i], c[j], sums.slice((i * kTilesN + j) * 4, 4));
    }
  }

  void emit() {
    lane = mod(t.thread, kWarp);
    Value warp = over(t.thread, kWarp);
    warpRow = times(over(warp, 2), kWarpTile);
    warpColumn = times(mod(warp, 2), kWarpTile);
    for (int64_t s = 0; s < kStages - 1; ++s)
      copyWeights(add(begin, s * step()), num(s));
    Value queued = copies;
    storeX(loadX(begin), num(0));
    SmallVector<Value> state(kTilesM * kTilesN * 4, f32Constant(*b, 0.0));
    auto steps = scf::ForOp::create(
        *b, begin, end, num(step()), state, [&](OpBuilder &o, Location l, Value k0, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
          // What this step reads has come; what it overwrites has been read.
          nvgpu::DeviceAsyncWaitOp::create(ib, queued, ib.getI32IntegerAttr(kStages - 2));
          gpu::BarrierOp::create(ib);
          Value number = over(arith::SubIOp::create(ib, k0, begin), step());
          copyWeights(add(k0, (kStages - 1) * step()), mod(add(number, kStages - 1), kStages));
          SmallVector<Value> next = loadX(add(k0, step()));
          SmallVector<Value> sums(acc);
          multiplyStep(mod(number, 2), mod(number, kStages), sums);
          storeX(next, mod(add(number, 1), 2));
          b = outer;
          scf::YieldOp::create(ib, sums);
        });
    // (group, 2 lane), (group, 2 lane + 1), and the same 8 rows below.
    Value firstColumn = add(times(panel, MmaProduct::kColumns), warpColumn);
    std::optional<int64_t> known = getConstantIntValue(p.columns);
    bool whole = known && *known % MmaProduct::kColumns == 0; // every column exists
    for (int64_t i = 0; i < kTilesM; ++i)
      for (int64_t half = 0; half < 2; ++half) {
        Value m = add(add(firstRow, warpRow), add(over(lane, 4), i * kMmaRows + half * 8));
        onlyIf(*b, below(*b, m, p.rows), [&](ImplicitLocOpBuilder &ib) {
          ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
          for (int64_t j = 0; j < kTilesN; ++j)
            for (int64_t r = 0; r < 2; ++r) {
              Value n = add(firstColumn, add(times(mod(lane, 4), 2), j * kMmaColumns + r));
              Value sum = steps.getResult((i * kTilesN + j) * 4 + half * 2 + r);
              if (whole)
                p.store(ib, m, n, sum);
              else
                onlyIf(ib, below(ib, n, p.columns), [&](ImplicitLocOpBuilder &sb) { p.store(sb, m, n, sum); });
            }
          b = outer;
        });
      }
  }
};

} // namespace

SmallVector<MemRefType> MmaProduct::shared(ImplicitLocOpBuilder &b) const {
  bool wide = factors == TF32;
  int64_t pad = wide ? 4 : 8;
  Type type = factorType(b, factors);
  return {sharedType(b, {2, kRows, step() + pad}, type), sharedType(b, {kStages, step(), kColumns + 8}, type)};
}

void MmaProduct::emit(Thread &t, Value firstRow, Value panel, Value begin, Value end) {
  Emitter{*this, t, &t.b, firstRow, panel, begin, end, {}, {}, {}, {}}.emit();
}
