//===-- WgmmaProduct.cpp - a tile of a product by wgmma
//-----------------------===//
//
// PTX ISA, "Asynchronous warpgroup level matrix instructions". wgmma reads both
// factors from shared memory, where rows of 128 bytes lie in groups of eight,
// the 16-byte pieces of a row permuted by its number (128-byte swizzle): x
// along k, the panels of the weight along n ("transposed"), as they lie in
// memory. cp.async brings them, two steps ahead; fence.proxy.async lets wgmma
// see them. A step's products are still under way while the next step's are
// issued, so a slice is written again two steps after it was read.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/WgmmaProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "codegen/cuda/MmaFragments.h"
#include "codegen/cuda/SumRows.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kStages = 4; // steps of k in shared memory
constexpr int64_t kAhead = kStages - 2;
constexpr int64_t kRowBytes = 128; // of a slice
constexpr int64_t kGroupBytes =
    1024;                      // eight rows: what the permutation repeats in
constexpr int64_t kPieces = 8; // of 16 bytes in a row
constexpr int64_t kDeep = 16;  // k of an instruction
constexpr int64_t kSliceX = WgmmaProduct::kRows * kRowBytes,
                  kPanel = WgmmaProduct::kStep * kRowBytes;
constexpr int64_t kWarps = WgmmaProduct::kThreads / kWarp, kGroupRows = 64;
constexpr int64_t kReadable = 0x3ffff; // bits of an address in a descriptor

/// A descriptor without its address: strides in units of 16 bytes, permutation
/// in 128.
constexpr int64_t descriptor(int64_t leading, int64_t stride) {
  return leading / 16 << 16 | stride / 16 << 32 | int64_t{1} << 62;
}

struct Emitter : IndexMath {
  WgmmaProduct &p;
  Thread &t;
  Value firstRow, firstPanel;
  Value sliceX, sliceW, beginX, beginW; // the first bytes as numbers

  int64_t sums() const {
    return p.panels * kCudaPanelColumns / 2;
  } // of a thread

  /// An instruction of its own without operands.
  void instruction(StringRef text) { assembly(text, "~{memory}", {}, {}); }
  LLVM::InlineAsmOp assembly(StringRef text, StringRef constraints,
                             TypeRange results, ValueRange operands) {
    return LLVM::InlineAsmOp::create(
        *b, results, operands, text, constraints, /*has_side_effects=*/true,
        /*is_align_stack=*/false, LLVM::TailCallKind::None,
        LLVM::AsmDialectAttr::get(b->getContext(), LLVM::AsmDialect::AD_ATT),
        ArrayAttr());
  }
  /// `text` with all sums as operands that it changes, and `more` (of 64 bits)
  /// after them.
  SmallVector<Value> onSums(const Twine &text, ValueRange values,
                            ValueRange more) {
    std::string constraints;
    for (int64_t i = 0; i < sums(); ++i)
      constraints += "=f,";
    for (size_t i = 0; i < more.size(); ++i)
      constraints += "l,";
    for (int64_t i = 0; i < sums(); ++i)
      constraints += std::to_string(i) + ",";
    SmallVector<Value> operands(more);
    llvm::append_range(operands, values);
    auto type = LLVM::LLVMStructType::getLiteral(
        b->getContext(), SmallVector<Type>(sums(), b->getF32Type()));
    Value all = assembly(text.str(), constraints + "~{memory}", type, operands)
                    .getRes();
    SmallVector<Value> results;
    for (int64_t i = 0; i < sums(); ++i)
      results.push_back(LLVM::ExtractValueOp::create(*b, all, i));
    return results;
  }

  void copy(Value from, ValueRange at, Value to, ValueRange place,
            Value exists) {
    nvgpu::DeviceAsyncCopyOp::create(
        *b, nvgpu::DeviceAsyncTokenType::get(b->getContext()), to, place, from,
        at, b->getIndexAttr(kPieces), exists, /*bypassL1=*/b->getUnitAttr());
  }
  /// How much of a piece at k exists (null: all of it), and a place that does.
  Value existing(Value &k, int64_t pieceDepth) {
    if (p.depth % WgmmaProduct::kStep == 0)
      return Value();
    Value exists = arith::SelectOp::create(*b, below(*b, k, num(p.depth)),
                                           num(kPieces), num(0));
    k = arith::MinUIOp::create(*b, k, num(p.depth - pieceDepth));
    return exists;
  }

  /// Queues the copies of the step at k0 as one group; an empty one past the
  /// last.
  Value copyStep(Value k0, Value slot) {
    constexpr int64_t kPass =
        WgmmaProduct::kThreads / kPieces; // rows at a time
    int64_t panelCount = cast<MemRefType>(p.weight.getType()).getDimSize(0);
    onlyIf(*b, below(*b, k0, num(p.depth)), [&](ImplicitLocOpBuilder &ib) {
      ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
      Value piece = mod(t.thread, kPieces), top = over(t.thread, kPieces);
      Value place = times(b->createOrFold<arith::XOrIOp>(piece, mod(top, 8)),
                          kPieces); // kPass is a multiple of 8
      Value lastRow = arith::SubIOp::create(ib, p.rows, num(1));
      for (int64_t i = 0; i < WgmmaProduct::kRows / kPass; ++i) {
        Value row = add(top, i * kPass), k = add(k0, times(piece, kPieces));
        // Rows past the last are that one again, and not stored.
        Value m = arith::MinUIOp::create(ib, add(firstRow, row), lastRow),
              exists = existing(k, kPieces);
        copy(p.x, {m, k}, sliceX, {slot, row, place}, exists);
      }
      for (int64_t panel = 0; panel < p.panels; ++panel) {
        Value from =
            panel ? Value(arith::MinUIOp::create(ib, add(firstPanel, panel),
                                                 num(panelCount - 1)))
                  : firstPanel;
        for (int64_t i = 0; i < WgmmaProduct::kStep / kPass; ++i) {
          Value row = add(top, i * kPass), k = add(k0, row),
                exists = existing(k, 1);
          copy(p.weight, {from, k, times(piece, kPieces)}, sliceW,
               {slot, num(panel), row, place}, exists);
        }
      }
      b = outer;
    });
    return nvgpu::DeviceAsyncCreateGroupOp::create(
        *b, nvgpu::DeviceAsyncTokenType::get(b->getContext()), ValueRange());
  }

  /// `fixed` with the address of byte `offset` after `begin`.
  Value describe(int64_t fixed, Value begin, Value offset) {
    Value at = arith::AndIOp::create(*b, add(begin, offset), num(kReadable));
    Value unit =
        arith::IndexCastUIOp::create(*b, b->getI64Type(), over(at, 16));
    return arith::OrIOp::create(
        *b, unit, arith::ConstantOp::create(*b, b->getI64IntegerAttr(fixed)));
  }

  SmallVector<Value> multiplyStep(Value slot, ValueRange acc) {
    std::string all;
    for (int64_t i = 0; i < sums(); ++i)
      all += (i ? ", $" : "$") + std::to_string(i);
    StringRef type = p.factors == MmaProduct::F16 ? "f16" : "bf16";
    // d += a b, a as it lies, b transposed.
    std::string text =
        ("{\n.reg .pred p;\nsetp.eq.u32 p, 0, "
         "0;\nwgmma.mma_async.sync.aligned.m64n" +
         Twine(p.panels * kCudaPanelColumns) + "k16.f32." + type + "." + type +
         " {" + all + "}, $" + Twine(sums()) + ", $" + Twine(sums() + 1) +
         ", p, 1, 1, 0, 1;\n}")
            .str();
    Value group = over(t.thread, WgmmaProduct::kThreads / 2);
    Value x = add(times(slot, kSliceX), times(group, kGroupRows * kRowBytes)),
          w = times(slot, p.panels * kPanel);
    SmallVector<Value> values(acc);
    instruction("wgmma.fence.sync.aligned;");
    for (int64_t k = 0; k < WgmmaProduct::kStep / kDeep; ++k) {
      // Along k, x goes on within a row, the weight by groups of rows.
      Value a =
          describe(descriptor(16, kGroupBytes), beginX, add(x, k * kDeep * 2));
      Value c = describe(descriptor(kPanel, kGroupBytes), beginW,
                         add(w, k * kDeep * kRowBytes));
      values = onSums(text, values, {a, c});
    }
    instruction("wgmma.commit_group.sync.aligned;");
    instruction("wgmma.wait_group.sync.aligned 1;");
    return values;
  }

  void emit() {
    Type element = factorType(*b, p.factors);
    sliceX = sharedView(
        t, 0, {kStages, WgmmaProduct::kRows, WgmmaProduct::kStep}, element);
    sliceW = sharedView(
        t, kStages * kSliceX,
        {kStages, p.panels, WgmmaProduct::kStep, kCudaPanelColumns}, element);
    beginX = memref::ExtractAlignedPointerAsIndexOp::create(*b, t.shared[0]);
    beginW = add(beginX, kStages * kSliceX);
    Value queued;
    for (int64_t s = 0; s < kAhead; ++s)
      queued = copyStep(num(s * WgmmaProduct::kStep), num(s));
    SmallVector<Value> state(sums(), f32Constant(*b, 0.0));
    auto steps = scf::ForOp::create(
        *b, num(0), num(p.depth), num(WgmmaProduct::kStep), state,
        [&](OpBuilder &o, Location l, Value k0, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
          // What this step reads has come, and wgmma may see it; of what it
          // overwrites all products were waited for in the step before.
          nvgpu::DeviceAsyncWaitOp::create(ib, queued,
                                           ib.getI32IntegerAttr(kAhead - 1));
          instruction("fence.proxy.async.shared::cta;");
          gpu::BarrierOp::create(ib);
          Value number = over(k0, WgmmaProduct::kStep);
          copyStep(add(k0, kAhead * WgmmaProduct::kStep),
                   mod(add(number, kAhead), kStages));
          SmallVector<Value> values = multiplyStep(mod(number, kStages), acc);
          b = outer;
          scf::YieldOp::create(ib, values);
        });
    SmallVector<Value> done =
        onSums("wgmma.wait_group.sync.aligned 0;", steps.getResults(), {});
    gpu::BarrierOp::create(*b); // the slices are read: sums go there
    Value lane = mod(t.thread, kWarp), warp = over(t.thread, kWarp);
    int64_t width = p.panels * kCudaPanelColumns;
    Value staged =
        sharedView(t, 0, SumRows::stagedShape(kWarps, width), b->getF32Type());
    // Of a warpgroup's 64 rows each warp has the next 16.
    Value top = add(firstRow, times(warp, SumRows::kRows));
    SumRows{lane, warp, p.rows, p.columns, width}.store(
        *b, staged, top, times(firstPanel, kCudaPanelColumns), done, p.store);
  }
};

} // namespace

int64_t WgmmaProduct::panelsFor(int64_t count) {
  if (count <= 8) // more blocks rather than larger ones
    return std::min<int64_t>(count, 2);
  for (int64_t panels : {4, 3})
    if (count % panels == 0)
      return panels;
  return 4;
}

int64_t WgmmaProduct::sharedBytes() const {
  int64_t slices = kStages * (kSliceX + panels * kPanel);
  return std::max<int64_t>(
      slices, kWarps * SumRows::sharedFloats(panels * kCudaPanelColumns) * 4);
}

void WgmmaProduct::emit(Thread &t, Value firstRow, Value firstPanel) {
  Emitter{{&t.b}, *this, t, firstRow, firstPanel, {}, {}, {}, {}}.emit();
}
