/// Tile code executed without AMX, against the manual's pseudocode in C++.
#include "codegen/host/EmulateAmx.h"
#include "test/support/JitCode.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

using namespace sq;
using namespace sq::test;

namespace {

/// The level matters little: none has AMX.
JitCode compile(const std::string &text) {
  return llvm::cantFail(JitCode::fromMlir(
      text, runnableLevels().back(), "f", [](mlir::OpPassManager &) {}, true));
}

#define SQ_REQUIRE_LEVEL()                                                     \
  if (runnableLevels().empty())                                                \
  GTEST_SKIP() << "this CPU lacks AVX2 or FMA"

/// C[rows][n] += A[rows][k] B[k / pair][n * pair], k in steps of one tile
/// carried through a loop: strides are in bytes, `kBytes` one tile's.
using Product = void(const void *a, const void *b, void *c, int64_t steps);
std::string product(const std::string &dot, int rows, int nBytes, int kBytes,
                    int strideA) {
  auto number = [](int64_t n) { return std::to_string(n); };
  return R"(func.func @f(%a: !llvm.ptr, %b: !llvm.ptr, %c: !llvm.ptr, %steps: i64) {
    %zero = arith.constant 0 : i64
    %one = arith.constant 1 : i64
    %rows = arith.constant )" +
         number(rows) + R"( : i16
    %n = arith.constant )" +
         number(nBytes) + R"( : i16
    %k = arith.constant )" +
         number(kBytes) + R"( : i16
    %depth = arith.constant )" +
         number(kBytes / 4) + R"( : i16
    %strideA = arith.constant )" +
         number(strideA) + R"( : i64
    %strideN = arith.constant )" +
         number(nBytes) + R"( : i64
    %stepA = arith.constant )" +
         number(kBytes) + R"( : i64
    %stepB = arith.constant )" +
         number(kBytes / 4 * nBytes) + R"( : i64
    %c0 = llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%rows, %n, %c, %strideN) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
    %sum = scf.for %i = %zero to %steps step %one iter_args(%acc = %c0) -> (!llvm.x86_amx) : i64 {
      %ia = arith.muli %i, %stepA : i64
      %ib = arith.muli %i, %stepB : i64
      %pa = llvm.getelementptr %a[%ia] : (!llvm.ptr, i64) -> !llvm.ptr, i8
      %pb = llvm.getelementptr %b[%ib] : (!llvm.ptr, i64) -> !llvm.ptr, i8
      %ta = llvm.call_intrinsic "llvm.x86.tileloaddt164.internal"(%rows, %k, %pa, %strideA) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
      %tb = llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%depth, %n, %pb, %strideN) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
      %next = llvm.call_intrinsic "llvm.x86.)" +
         dot +
         R"(.internal"(%rows, %n, %k, %acc, %ta, %tb) : (i16, i16, i16, !llvm.x86_amx, !llvm.x86_amx, !llvm.x86_amx) -> !llvm.x86_amx
      scf.yield %next : !llvm.x86_amx
    }
    llvm.call_intrinsic "llvm.x86.tilestored64.internal"(%rows, %n, %c, %strideN, %sum) : (i16, i16, !llvm.ptr, i64, !llvm.x86_amx) -> ()
    return
  })";
}

//===-- bf16 --------------------------------------------------------------===//

float fromBf16(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
float flush(float x) {
  return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x;
}
uint32_t toBits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

struct Bf16Case {
  int rows, columns, pairs, steps; // pairs of k in one tile
  std::vector<uint16_t> a,
      b; // [rows][steps][pairs][2], [steps][pairs][columns][2]
  std::vector<float> c;

  Bf16Case(int rows, int columns, int pairs, int steps)
      : rows(rows), columns(columns), pairs(pairs), steps(steps),
        a(rows * steps * pairs * 2), b(steps * pairs * columns * 2),
        c(rows * columns) {}

  std::vector<float> expected() const {
    std::vector<float> result = c;
    for (int s = 0; s < steps; ++s)
      for (int m = 0; m < rows; ++m)
        for (int n = 0; n < columns; ++n) {
          float sums[2] = {0, 0};
          for (int k = 0; k < pairs; ++k)
            for (int i = 0; i < 2; ++i)
              sums[i] = flush(std::fma(
                  flush(fromBf16(a[((m * steps + s) * pairs + k) * 2 + i])),
                  flush(fromBf16(b[((s * pairs + k) * columns + n) * 2 + i])),
                  sums[i]));
          float &out = result[m * columns + n];
          out = flush(flush(out) + flush(sums[0] + sums[1]));
        }
    return result;
  }

  void check() {
    JitCode code = compile(
        product("tdpbf16ps", rows, columns * 4, pairs * 4, pairs * 4 * steps));
    std::vector<float> want = expected(), got = c;
    got.push_back(1234); // not to be written
    (*llvm::cantFail(code.lookup<Product>("f")))(a.data(), b.data(), got.data(),
                                                 steps);
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_EQ(toBits(got[i]), toBits(want[i]))
          << i << ": " << got[i] << ", expected " << want[i];
    EXPECT_EQ(got.back(), 1234);
  }
};

TEST(EmulateAmx, Bf16) {
  SQ_REQUIRE_LEVEL();
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (auto [rows, columns, pairs, steps] :
       {std::tuple(16, 16, 16, 12), std::tuple(1, 16, 16, 3),
        std::tuple(5, 3, 7, 4), std::tuple(16, 1, 1, 1),
        std::tuple(3, 4, 5, 0)}) {
    SCOPED_TRACE(testing::Message()
                 << rows << "x" << columns << "x" << pairs << "x" << steps);
    Bf16Case test(rows, columns, pairs, steps);
    for (auto *values : {&test.a, &test.b})
      for (uint16_t &value : *values)
        value = toBits(normal(random)) >> 16;
    for (float &value : test.c)
      value = normal(random);
    test.check();
  }
}

// Every exponent, zeros, infinities and denormals; NaN apart, whose payload is
// not specified.
TEST(EmulateAmx, Bf16FlushesDenormals) {
  SQ_REQUIRE_LEVEL();
  std::mt19937 random(2);
  Bf16Case test(16, 16, 16, 8);
  for (auto *values : {&test.a, &test.b})
    for (uint16_t &value : *values)
      // Products about 2^-126, operands often denormal.
      value =
          (random() & 0x807f) |
          (random() % 3 ? 0x2000 - (random() % 64) * 0x80 : random() & 0x7f);
  for (float &value : test.c)
    value = fromBf16(random() & 0x81ff);
  test.check();
  std::vector<float> result = test.expected();
  auto isZero = [](float x) { return x == 0; };
  EXPECT_GT(std::count_if(result.begin(), result.end(), isZero), 0);
  EXPECT_LT(std::count_if(result.begin(), result.end(), isZero), 200);
}

//===-- int8 --------------------------------------------------------------===//

template <typename A, typename B> void checkInt8(const char *dot) {
  constexpr int kRows = 7, kColumns = 9, kQuads = 13, kSteps = 3;
  std::mt19937 random(3);
  std::vector<A> a(kRows * kSteps * kQuads * 4);
  std::vector<B> b(kSteps * kQuads * kColumns * 4);
  std::vector<uint32_t> c(kRows * kColumns);
  for (A &value : a)
    value = static_cast<A>(random());
  for (B &value : b)
    value = static_cast<B>(random());
  for (uint32_t &value : c)
    value = random(); // large enough to wrap
  std::vector<uint32_t> want = c;
  for (int m = 0; m < kRows; ++m)
    for (int n = 0; n < kColumns; ++n)
      for (int k = 0; k < kSteps * kQuads; ++k)
        for (int i = 0; i < 4; ++i)
          want[m * kColumns + n] += static_cast<uint32_t>(
              int32_t(a[(m * kSteps * kQuads + k) * 4 + i]) *
              int32_t(b[(k * kColumns + n) * 4 + i]));
  JitCode code = compile(
      product(dot, kRows, kColumns * 4, kQuads * 4, kSteps * kQuads * 4));
  (*llvm::cantFail(code.lookup<Product>("f")))(a.data(), b.data(), c.data(),
                                               kSteps);
  EXPECT_EQ(c, want);
}

TEST(EmulateAmx, Int8) {
  SQ_REQUIRE_LEVEL();
  checkInt8<int8_t, int8_t>("tdpbssd");
  checkInt8<int8_t, uint8_t>("tdpbsud");
  checkInt8<uint8_t, int8_t>("tdpbusd");
  checkInt8<uint8_t, uint8_t>("tdpbuud");
}

//===-- control flow ------------------------------------------------------===//

// Two tiles that a loop swaps, and a third that it zeroes on the way: phis take
// their values at once.
TEST(EmulateAmx, SwappedPhis) {
  SQ_REQUIRE_LEVEL();
  JitCode code =
      compile(R"(func.func @f(%x: !llvm.ptr, %y: !llvm.ptr, %times: i64) {
    %zero = arith.constant 0 : i64
    %one = arith.constant 1 : i64
    %rows = arith.constant 16 : i16
    %bytes = arith.constant 64 : i16
    %stride = arith.constant 64 : i64
    %tx = llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%rows, %bytes, %x, %stride) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
    %ty = llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%rows, %bytes, %y, %stride) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
    %r:2 = scf.for %i = %zero to %times step %one iter_args(%a = %tx, %b = %ty) -> (!llvm.x86_amx, !llvm.x86_amx) : i64 {
      scf.yield %b, %a : !llvm.x86_amx, !llvm.x86_amx
    }
    llvm.call_intrinsic "llvm.x86.tilestored64.internal"(%rows, %bytes, %x, %stride, %r#0) : (i16, i16, !llvm.ptr, i64, !llvm.x86_amx) -> ()
    llvm.call_intrinsic "llvm.x86.tilestored64.internal"(%rows, %bytes, %y, %stride, %r#1) : (i16, i16, !llvm.ptr, i64, !llvm.x86_amx) -> ()
    return
  })");
  auto *f =
      llvm::cantFail(code.lookup<void(uint32_t *, uint32_t *, int64_t)>("f"));
  for (int64_t times : {0, 1, 2, 5}) {
    std::vector<uint32_t> x(256), y(256);
    std::iota(x.begin(), x.end(), 0);
    std::iota(y.begin(), y.end(), 1000);
    std::vector<uint32_t> first = times % 2 ? y : x, second = times % 2 ? x : y;
    f(x.data(), y.data(), times);
    EXPECT_EQ(x, first) << times;
    EXPECT_EQ(y, second) << times;
  }
}

// A tile loaded with few rows and columns is zero elsewhere; a branch chooses
// between it and a cleared one.
TEST(EmulateAmx, ZeroBranchAndSelect) {
  SQ_REQUIRE_LEVEL();
  JitCode code = compile(
      R"(func.func @f(%x: !llvm.ptr, %y: !llvm.ptr, %keep: i1, %take: i1) {
    %rows = arith.constant 2 : i16
    %bytes = arith.constant 8 : i16
    %stride = arith.constant 12 : i64
    %tx = llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%rows, %bytes, %x, %stride) : (i16, i16, !llvm.ptr, i64) -> !llvm.x86_amx
    %r = scf.if %keep -> !llvm.x86_amx {
      scf.yield %tx : !llvm.x86_amx
    } else {
      %z = llvm.call_intrinsic "llvm.x86.tilezero.internal"(%rows, %bytes) : (i16, i16) -> !llvm.x86_amx
      scf.yield %z : !llvm.x86_amx
    }
    %s = llvm.select %take, %r, %tx : i1, !llvm.x86_amx
    llvm.call_intrinsic "llvm.x86.tilestored64.internal"(%rows, %bytes, %y, %stride, %s) : (i16, i16, !llvm.ptr, i64, !llvm.x86_amx) -> ()
    return
  })");
  auto *f = llvm::cantFail(
      code.lookup<void(const uint32_t *, uint32_t *, bool, bool)>("f"));
  const std::vector<uint32_t> x = {1, 2, 3, 4, 5, 6};
  for (bool keep : {false, true})
    for (bool take : {false, true}) {
      std::vector<uint32_t> y(6, 9);
      f(x.data(), y.data(), keep, take);
      // The third column lies between the rows.
      using Words = std::vector<uint32_t>;
      EXPECT_EQ(y, keep || !take ? Words({1, 2, 9, 4, 5, 9})
                                 : Words({0, 0, 9, 0, 0, 9}));
    }
}

/// The error for LLVM IR that has no emulation.
std::string refusal(const char *text) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  std::unique_ptr<llvm::Module> module =
      llvm::parseAssemblyString(text, problem, context);
  if (!module)
    return problem.getMessage().str();
  return llvm::toString(emulateAmx(*module));
}

TEST(EmulateAmx, Refuses) {
  EXPECT_EQ(refusal("define x86_amx @g(x86_amx %t) { ret x86_amx %t }"),
            "AMX cannot be emulated in g: a tile is an argument or a result");
  EXPECT_EQ(
      refusal(
          "declare x86_amx @llvm.x86.cast.vector.to.tile.v256i32(<256 x i32>)\n"
          "define void @g() {\n"
          "  %t = call x86_amx @llvm.x86.cast.vector.to.tile.v256i32(<256 x "
          "i32> "
          "zeroinitializer)\n  ret void\n}"),
      "AMX cannot be emulated in g:  %t = call x86_amx "
      "@llvm.x86.cast.vector.to.tile.v256i32(<256 x i32> zeroinitializer)");
}

TEST(EmulateAmx, Attributes) {
  EXPECT_EQ(withoutAmx("+amx-tile,-prefer-256-bit,+amx-bf16,+avx512vnni"),
            "-prefer-256-bit,+avx512vnni");
  EXPECT_EQ(withoutAmx(""), "");
}

} // namespace
