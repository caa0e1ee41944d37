/// What ptxas says of the kernels of whole models: no spills, and the
/// occupancy that each kind of kernel is to reach.
#include "test/e2e/Models.h"

#include "codegen/cuda/EmitDevice.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>

#include <iostream>

using namespace sq;
using namespace sq::test;

namespace {

struct Floor {
  const char *prefix;   // of the function's name
  double occupancy;     // at least
};

// Issue 5 asks for 0.5 of contractions and 0.75 of what memory bounds. Below
// that are, with their reasons:
// - tensor-core tiles and attention, which keep 32 x 32 or 64 x 64 sums a warp
//   (128 in a thread), or results and scores of queries, in registers: copies that
//   are under way while they compute hide the latency, not other warps;
// - the join of decode attention, by one warp a block;
// - gemv for 2 to 8 rows, which has 64 sums in a thread: each of its threads
//   has four loads of 16 bytes under way, which is what memory needs.
constexpr Floor tensorCore[] = {{"matmul", 0.125}, {"attention", 0.125}, {"split_sum", 0.75}, {"gemv", 0.12}};
constexpr Floor plain[] = {{"matmul", 0.5}, {"attention", 0.25}, {"split_sum", 0.75}, {"gemv", 0.12}};

void check(const std::string &path, const std::string &arch, const std::string &precision) {
  TemporaryDirectory directory;
  CompileOptions options;
  options.cuda = {arch};
  options.precision = precision;
  options.reports = {directory.file("report.json")};
  CompileResult result = compileFile(path, options);
  ASSERT_EQ(result.code, ExitCode::Done) << path << ": " << result.message;
  auto text = llvm::MemoryBuffer::getFile(options.reports[0]);
  ASSERT_TRUE(static_cast<bool>(text));
  llvm::Expected<llvm::json::Value> report = llvm::json::parse((*text)->getBuffer());
  ASSERT_TRUE(static_cast<bool>(report));
  for (const llvm::json::Value &kernel : *report->getAsObject()->getArray("kernels")) {
    const llvm::json::Object *r = kernel.getAsObject()->getObject("resources");
    ASSERT_NE(r, nullptr);
    llvm::StringRef name = *r->getString("function");
    std::string where = path + " " + arch + " " + precision + " " + name.str();
    EXPECT_EQ(*r->getInteger("spill_bytes"), 0) << where;
    EXPECT_EQ(*r->getInteger("stack_bytes"), 0) << where;
    EXPECT_GT(*r->getInteger("registers"), 0) << where;
    // Two blocks fit each multiprocessor of an A100; by wgmma one does an H200's.
    EXPECT_LE(*r->getInteger("shared_bytes"), (arch == "sm_90a" ? 227 : 81) << 10) << where;
    double least = 0.75;
    for (const Floor &floor : precision == "f32" ? plain : tensorCore)
      if (name.starts_with(floor.prefix)) {
        least = floor.occupancy;
        break;
      }
    EXPECT_GE(*r->getNumber("occupancy"), least) << where;
  }
}

void checkAll(const std::string &arch) {
  if (findPtxas().empty())
    GTEST_SKIP() << "no ptxas; run tools/scripts/fetch-ptxas.sh";
  std::vector<std::string> models = {committedModels() + "/tiny/classifier/model.onnx"};
  for (const std::string &path : {largeModels() + "/tiny/lm/model.onnx", miniLm() + "/model_opset17.onnx", largeModels() + "/classifier/model.onnx",
                                  largeModels() + "/lm/model.onnx", largeModels() + "/lm/model_with_past.onnx"})
    if (exists(path) && (path.find("minilm") == std::string::npos || exists(miniLm() + "/model.safetensors")))
      models.push_back(path);
    else
      std::cout << "without " << path << "\n";
  for (const std::string &path : models)
    for (const char *precision : {"f32", "f16", "bf16", "tf32"})
      check(path, arch, precision);
}

TEST(CudaResources, Sm80) { checkAll("sm_80"); }
TEST(CudaResources, Sm90) { checkAll("sm_90"); }
TEST(CudaResources, Sm90a) { checkAll("sm_90a"); }

} // namespace
