/// A language model whose weights are MatMulNBits, as onnxruntime-genai writes
/// them, beside the same model with the floats that these stand for.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "onnx/onnx_pb.h"

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

constexpr int64_t kBits = 4, kSize = 32;

/// The floats of an initialiser, in the file or in the one that it names.
std::vector<float> floatsOf(const onnx::TensorProto &tensor,
                            const std::string &folder) {
  int64_t count = 1, offset = 0;
  for (int64_t dim : tensor.dims())
    count *= dim;
  std::vector<float> values(count);
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) {
    std::memcpy(values.data(), tensor.raw_data().data(),
                std::min<size_t>(tensor.raw_data().size(), count * 4));
    return values;
  }
  std::string file;
  for (const auto &entry : tensor.external_data()) {
    if (entry.key() == "location")
      file = entry.value();
    if (entry.key() == "offset")
      offset = std::stoll(entry.value());
  }
  std::ifstream in(folder + "/" + file, std::ios::binary);
  in.seekg(offset);
  in.read(reinterpret_cast<char *>(values.data()), count * 4);
  EXPECT_TRUE(bool(in)) << file;
  return values;
}

onnx::TensorProto tensorOf(const std::string &name, int type,
                           std::initializer_list<int64_t> dims,
                           const void *data, size_t bytes) {
  onnx::TensorProto made;
  made.set_name(name);
  made.set_data_type(type);
  for (int64_t dim : dims)
    made.add_dims(dim);
  made.set_raw_data(data, bytes);
  return made;
}

/// Replaces products by constant matrices: in `packed` by MatMulNBits, every
/// second one with zero points, and in `floats` the matrices by what these
/// stand for. How many numbers there were.
int64_t packWeights(onnx::ModelProto &packed, onnx::ModelProto &floats,
                    const std::string &folder, int accuracy) {
  int count = 0;
  int64_t elements = 0;
  onnx::GraphProto &graph = *packed.mutable_graph();
  for (onnx::NodeProto &node : *graph.mutable_node()) {
    if (node.op_type() != "MatMul")
      continue;
    for (int i = 0; i < graph.initializer_size(); ++i) {
      const onnx::TensorProto weight = graph.initializer(i);
      if (weight.name() != node.input(1) || weight.dims_size() != 2 ||
          weight.data_type() != onnx::TensorProto::FLOAT)
        continue;
      elements += weight.dims(0) * weight.dims(1);
      int64_t k = weight.dims(0), n = weight.dims(1),
              blocks = (k + kSize - 1) / kSize;
      std::vector<float> w = floatsOf(weight, folder), decoded(k * n),
                         scales(n * blocks);
      std::vector<uint8_t> codes(n * blocks * kSize / 2),
          zeros(n * ((blocks + 1) / 2));
      bool hasZeros = count++ % 2;
      for (int64_t c = 0; c < n; ++c)
        for (int64_t b = 0; b < blocks; ++b) {
          float low = 0, high = 0;
          int64_t end = std::min(k, (b + 1) * kSize);
          for (int64_t r = b * kSize; r < end; ++r)
            low = std::min(low, w[r * n + c]),
            high = std::max(high, w[r * n + c]);
          float scale =
              hasZeros ? (high - low) / 15 : std::max(-low / 8, high / 7);
          int zero = hasZeros && scale > 0 ? int(std::lround(-low / scale)) : 8;
          scales[c * blocks + b] = scale;
          zeros[c * ((blocks + 1) / 2) + b / 2] |= zero << b % 2 * 4;
          for (int64_t r = b * kSize; r < end; ++r) {
            int code =
                scale > 0
                    ? std::clamp(int(std::lround(w[r * n + c] / scale)) + zero,
                                 0, 15)
                    : zero;
            codes[(c * blocks * kSize + r) / 2] |= code << r % 2 * 4;
            decoded[r * n + c] = scale * (code - zero);
          }
        }
      std::string name = weight.name();
      for (onnx::TensorProto &other :
           *floats.mutable_graph()->mutable_initializer())
        if (other.name() == name)
          other = tensorOf(name, onnx::TensorProto::FLOAT, {k, n},
                           decoded.data(), decoded.size() * 4);
      *graph.mutable_initializer(i) =
          tensorOf(name, onnx::TensorProto::UINT8, {n, blocks, kSize / 2},
                   codes.data(), codes.size());
      *graph.add_initializer() =
          tensorOf(name + ".scales", onnx::TensorProto::FLOAT, {n * blocks},
                   scales.data(), scales.size() * 4);
      node.set_op_type("MatMulNBits");
      node.set_domain("com.microsoft");
      node.add_input(name + ".scales");
      if (hasZeros) {
        *graph.add_initializer() =
            tensorOf(name + ".zeros", onnx::TensorProto::UINT8,
                     {int64_t(zeros.size())}, zeros.data(), zeros.size());
        node.add_input(name + ".zeros");
      }
      auto add = [&](const char *attribute, int64_t value) {
        onnx::AttributeProto &made = *node.add_attribute();
        made.set_name(attribute);
        made.set_type(onnx::AttributeProto::INT);
        made.set_i(value);
      };
      add("K", k), add("N", n), add("bits", kBits), add("block_size", kSize),
          add("accuracy_level", accuracy);
      break;
    }
  }
  onnx::OperatorSetIdProto &set = *packed.add_opset_import();
  set.set_domain("com.microsoft");
  set.set_version(1);
  return elements;
}

/// The share of the floats' power that their differences have.
double errorOf(const Tensor &floats, const Tensor &packed) {
  double error = 0, power = 0;
  EXPECT_EQ(floats.shape, packed.shape);
  for (size_t i = 0; i < std::min(floats.reals.size(), packed.reals.size());
       ++i) {
    error += (floats.reals[i] - packed.reals[i]) *
             (floats.reals[i] - packed.reals[i]);
    power += floats.reals[i] * floats.reals[i];
  }
  EXPECT_GT(power, 0);
  return error / power;
}

TEST(PackedModel, ComputesWhatItsFloatsDo) {
  std::string folder = committedModels() + "/tiny/lm";
  Tensor tokens = readData(folder + "/validation/tokens.npy");
  for (int accuracy : {0, 4}) {
    onnx::ModelProto packed, floats;
    std::ifstream in(folder + "/model.onnx", std::ios::binary);
    ASSERT_TRUE(packed.ParseFromIstream(&in));
    floats = packed;
    int64_t elements = packWeights(packed, floats, folder, accuracy);
    ASSERT_GT(elements, 250000);
    TemporaryDirectory directory;
    std::filesystem::copy(folder + "/weights.bin",
                          directory.file("weights.bin"));
    std::string packedPath = directory.file("packed.onnx"),
                floatsPath = directory.file("floats.onnx");
    std::ofstream(packedPath, std::ios::binary) << packed.SerializeAsString();
    std::ofstream(floatsPath, std::ios::binary) << floats.SerializeAsString();
    CompileOptions options;
    options.levels = {"x86-64-v3"};
    CompiledModel small(packedPath, options), large(floatsPath, options);
    ASSERT_TRUE(small.ok() && large.ok());
    // Half a byte for a number, 3/4 with the padding of short rows, and f32
    // scales for 32 of them, instead of 4; kernels of codes are longer.
    EXPECT_LT(std::filesystem::file_size(small.artifact()) + 2 * elements,
              std::filesystem::file_size(large.artifact()));
    Program one = small.open(1), other = large.open(1);
    for (int64_t count : {1, 5, 40}) {
      Tensor ids{DType::I64,
                 {1, count},
                 {},
                 std::vector<int64_t>(tokens.integers.begin(),
                                      tokens.integers.begin() + count)};
      std::vector<Tensor> inputs = {ids};
      if (one.numInputs() > 1) {
        inputs.push_back(ids);
        for (int64_t i = 0; i < count; ++i)
          inputs.back().integers[i] = i;
      }
      auto y = one.run(inputs), expected = other.run(inputs);
      ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
      ASSERT_TRUE(bool(expected)) << llvm::toString(expected.takeError());
      double error = errorOf(expected->front(), y->front());
      // Roundings of f32, or of 13 layers' inputs to 8 bits, some 1e-4 of their
      // power each.
      EXPECT_LT(error, accuracy == 4 ? 3e-3 : 1e-9) << count << " tokens";
      if (accuracy == 4)
        EXPECT_GT(error, 1e-9) << "nothing was rounded";
    }
  }
}

/// Its keys and values stay between runs, as those of a model of floats do.
TEST(PackedModel, KeepsItsCaches) {
  std::string folder = committedModels() + "/tiny/lm";
  onnx::ModelProto packed, floats;
  std::ifstream in(folder + "/model_with_past.onnx", std::ios::binary);
  ASSERT_TRUE(packed.ParseFromIstream(&in));
  ASSERT_GT(packWeights(packed, floats, folder, 4), 250000);
  TemporaryDirectory directory;
  std::filesystem::copy(folder + "/weights.bin", directory.file("weights.bin"));
  std::string path = directory.file("packed.onnx");
  std::ofstream(path, std::ios::binary) << packed.SerializeAsString();
  CompileOptions options;
  options.levels = {"x86-64-v3"};
  options.kvCache = "state";
  EXPECT_TRUE(CompiledModel(path, options).ok());
}

} // namespace
