/// A CUDA artifact by hand, for the emulator's libcuda.so.1.
#ifndef SQ_TEST_UNIT_RUNTIME_CUDAARTIFACT_H
#define SQ_TEST_UNIT_RUNTIME_CUDAARTIFACT_H

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/core/manifest_generated.h"
#include "runtime/core/trailer.h"
#include "sq/runtime.h"

namespace sq_test {

inline std::string contents(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void store(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

struct CudaVariant {
  unsigned architecture = 80;
  std::string cubin, ptx;
  std::vector<std::string> features;
};

inline std::string toyImage() { return contents(SQ_TOY_KERNELS); }
/// Whether the emulator is part of this build.
inline bool hasEmulator() { return std::filesystem::exists(SQ_FAKE_CUDA); }

/// w[i] = 100 + i; x f32 [batch, n] with n <= 4096, index i64 [batch], y f32 [batch, n].
inline std::string cudaManifest(const std::vector<CudaVariant> &variants, size_t weightBytes) {
  using namespace sq::manifest;
  flatbuffers::FlatBufferBuilder b;
  auto dim = [&](const char *name, int64_t max) { return CreateDimDirect(b, name, 0, max); };
  auto tensor = [&](const char *name, DType type, int rank) {
    std::vector<flatbuffers::Offset<Dim>> dims = {dim("batch", 4096), dim("n", 4096)};
    dims.resize(static_cast<size_t>(rank));
    return CreateTensorDirect(b, name, type, &dims);
  };
  std::vector<flatbuffers::Offset<Tensor>> inputs = {tensor("x", DType_f32, 2),
                                                     tensor("index", DType_i64, 1)};
  std::vector<flatbuffers::Offset<Tensor>> outputs = {tensor("y", DType_f32, 2)};
  std::vector<flatbuffers::Offset<Variant>> list;
  for (const CudaVariant &v : variants) {
    std::vector<flatbuffers::Offset<flatbuffers::String>> features;
    for (const std::string &feature : v.features)
      features.push_back(b.CreateString(feature));
    auto functions = b.CreateVectorOfStrings({"toy_doubled", "toy_added"});
    auto messages = b.CreateVectorOfStrings(
        {"never", "an index is outside of [0, 10); check the inputs"});
    b.ForceVectorAlignment(v.cubin.size(), 1, 16);
    auto cubin = b.CreateVector(reinterpret_cast<const uint8_t *>(v.cubin.data()), v.cubin.size());
    auto ptx = b.CreateString(v.ptx);
    auto code = CreateDeviceCode(b, v.architecture, functions, messages, cubin, ptx);
    std::string level = "cuda:sm_" + std::to_string(v.architecture);
    list.push_back(CreateVariantDirect(b, level.c_str(), &features, false, code));
  }
  std::vector<flatbuffers::Offset<Kernel>> kernels = {
      CreateKernelDirect(b, "doubled", nullptr, "batch*n", "4*batch*n", "4*batch*n"),
      CreateKernelDirect(b, "added")};
  b.Finish(CreateManifestDirect(b, SQ_FORMAT_VERSION, "test", "toy", &inputs, &outputs, &list,
                                &kernels, weightBytes),
           ManifestIdentifier());
  return {reinterpret_cast<const char *>(b.GetBufferPointer()), b.GetSize()};
}

/// Writes `folder`/NAME.so.
inline std::string writeCudaToy(const std::string &folder, const std::string &name,
                                const std::vector<CudaVariant> &variants) {
  std::string weights(4096 * sizeof(float), 0);
  for (int i = 0; i < 4096; ++i) {
    float value = 100 + static_cast<float>(i);
    std::memcpy(&weights[4 * static_cast<size_t>(i)], &value, 4);
  }
  std::string manifest = cudaManifest(variants, weights.size());
  std::string base = folder + "/" + name, levels;
  store(base + ".manifest", manifest);
  store(base + ".weights", weights);
  for (const CudaVariant &v : variants)
    levels += "VARIANT(\\\"cuda:sm_" + std::to_string(v.architecture) + "\\\")";
  std::string command = std::string(SQ_TEST_CC) + " -shared -fPIC -O1 -I'" SQ_SOURCE_DIR "/include'" +
                        " -DMANIFEST='\"" + base + ".manifest\"' -DWEIGHTS='\"" + base +
                        ".weights\"' -DMANIFEST_SIZE=" + std::to_string(manifest.size()) +
                        " -DWEIGHTS_SIZE=" + std::to_string(weights.size()) + " -DLEVELS=\"" + levels +
                        "\" '" SQ_TEST_SOURCE_DIR "/toy_cuda.c' -o '" + base + ".so'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;

  std::string payload = contents(base + ".so");
  auto hash = [](const std::string &bytes) {
    XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
    return sq_hash128{h.low64, h.high64};
  };
  sq_trailer t = {};
  std::memcpy(t.magic, SQ_TRAILER_MAGIC, sizeof(t.magic));
  t.version = SQ_TRAILER_VERSION;
  t.size = sizeof(t);
  t.payload_size = payload.size();
  t.weights_offset = payload.find(weights);
  t.weights_size = weights.size();
  t.manifest_offset = payload.find(manifest);
  t.manifest_size = manifest.size();
  t.code_hash = hash(payload.substr(0, t.weights_offset) +
                     payload.substr(t.weights_offset + t.weights_size));
  t.weights_hash = hash(weights);
  t.self_hash = hash({reinterpret_cast<char *>(&t), offsetof(sq_trailer, self_hash)});
  store(base + ".so", payload + std::string(reinterpret_cast<char *>(&t), sizeof(t)));
  return base + ".so";
}

/// A fresh folder, removed afterwards.
class TemporaryCudaFolder : public ::testing::Test {
protected:
  TemporaryCudaFolder() {
    std::string pattern = ::testing::TempDir() + "sq-cuda-XXXXXX";
    folder = mkdtemp(pattern.data());
  }
  ~TemporaryCudaFolder() override { std::filesystem::remove_all(folder); }
  std::string folder;
};

/// Of tests that need the emulator.
class CudaFolder : public TemporaryCudaFolder {
protected:
  void SetUp() override {
    if (!hasEmulator())
      GTEST_SKIP() << "without the emulator " SQ_FAKE_CUDA;
  }
};

} // namespace sq_test

#endif
