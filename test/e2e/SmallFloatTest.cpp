/// Cast to and from floats of 8 bits and less, compiled, against the tables of
/// lib/support/SmallFloat.h: every code, every f16, and f32 and f64 around every border.
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

struct Case {
  DType dtype;
  const char *onnx; // in the text format
  int number;       // TensorProto.DataType
};

std::ostream &operator<<(std::ostream &os, const Case &c) { return os << c.onnx; }

/// The tensor with exactly these bits.
template <typename T> Tensor ofBits(DType dtype, const std::vector<T> &values) {
  return numerics::fromBytes(dtype, {int64_t(values.size())}, values.data(),
                             values.size() * sizeof(T));
}

template <typename T> std::vector<T> borders(const SmallFloat &format) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  std::vector<T> values = {0, T(-0.0), infinity, -infinity, std::numeric_limits<T>::quiet_NaN()};
  std::vector<double> codes;
  for (int code = 0; code <= format.largest; ++code)
    codes.push_back(decodeSmallFloat(format, code));
  codes.push_back(2 * codes.back() - codes[codes.size() - 2]); // what would come next
  std::vector<double> points = codes;
  for (size_t i = 1; i < codes.size(); ++i)
    points.push_back((codes[i - 1] + codes[i]) / 2);
  for (double point : points)
    for (T sign : {T(1), T(-1)})
      for (T near : {std::nextafter(T(point), -infinity), T(point), std::nextafter(T(point), infinity)})
        values.push_back(sign * near);
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i)
    values.push_back(T(std::ldexp(int32_t(random()), int(random() % 60) - 50)));
  return values;
}

bool isSame(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

class SmallFloatCast : public testing::TestWithParam<Case> {};

TEST_P(SmallFloatCast, AgreesWithTheTables) {
  const Case &c = GetParam();
  const SmallFloat &format = *numerics::smallFloatOf(c.dtype);
  struct Mode {
    bool saturate;
    SmallRounding rounding;
    const char *name;
  };
  std::vector<Mode> modes = {{true, SmallRounding::NearestEven, ""},
                             {false, SmallRounding::NearestEven, ""}};
  if (format.isScale())
    modes = {{true, SmallRounding::Up, "up"},        {false, SmallRounding::Up, "up"},
             {true, SmallRounding::Down, "down"},    {false, SmallRounding::Down, "down"},
             {true, SmallRounding::NearestUp, "nearest"},
             {false, SmallRounding::NearestUp, "nearest"}};

  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i)
    halves[i] = static_cast<uint16_t>(i);
  std::vector<uint8_t> codes(size_t(1) << format.bits);
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<uint8_t>(i);
  std::vector<Tensor> inputs = {ofBits(DType::F32, borders<float>(format)),
                                ofBits(DType::F64, borders<double>(format)),
                                ofBits(DType::F16, halves), ofBits(c.dtype, codes)};

  std::string signature, body;
  int outputs = 0;
  auto add = [&](const char *input, int to, const std::string &type, const Mode *mode) {
    std::string name = "y" + std::to_string(outputs++);
    signature += (signature.empty() ? "" : ", ") + type + "[" + input + "n] " + name;
    body += "  " + name + " = Cast<to = " + std::to_string(to);
    if (mode)
      body += ", saturate = " + std::to_string(mode->saturate) +
              (*mode->name ? ", round_mode = \"" + std::string(mode->name) + "\"" : "");
    body += ">(" + std::string(input) + ")\n";
  };
  for (const Mode &mode : modes)
    for (const char *input : {"a", "b", "c"})
      add(input, c.number, c.onnx, &mode);
  add("d", 1, "float", nullptr);
  add("d", 11, "double", nullptr);

  TemporaryDirectory directory;
  std::string path = directory.file("cast.onnxtxt");
  std::ofstream(path) << "<ir_version: 11, opset_import: [\"\" : 25]>\ncast (float[an] a, double[bn] b, "
                      << "float16[cn] c, " << c.onnx << "[dn] d) => (" << signature << ") {\n"
                      << body << "}\n";
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  Program program = model.open();
  llvm::Expected<std::vector<Tensor>> results = program.run(inputs);
  ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());

  size_t next = 0;
  for (const Mode &mode : modes)
    for (int input = 0; input < 3; ++input, ++next)
      for (int64_t i = 0; i < inputs[input].size(); ++i) {
        double x = inputs[input].reals[i];
        double expected = decodeSmallFloat(
            format, encodeSmallFloat(format, x, mode.saturate, mode.rounding));
        ASSERT_TRUE(isSame((*results)[next].reals[i], expected))
            << x << " of input " << input << ", saturate " << mode.saturate << " " << mode.name
            << ": " << (*results)[next].reals[i] << ", expected " << expected;
      }
  for (; next < results->size(); ++next)
    for (int64_t i = 0; i < inputs[3].size(); ++i)
      ASSERT_TRUE(isSame((*results)[next].reals[i], inputs[3].reals[i])) << "code " << i;
}

INSTANTIATE_TEST_SUITE_P(
    Formats, SmallFloatCast,
    testing::Values(Case{DType::F8E4M3FN, "float8e4m3fn", 17},
                    Case{DType::F8E4M3FNUZ, "float8e4m3fnuz", 18},
                    Case{DType::F8E5M2, "float8e5m2", 19},
                    Case{DType::F8E5M2FNUZ, "float8e5m2fnuz", 20},
                    Case{DType::F4E2M1, "float4e2m1", 23}, Case{DType::F8E8M0, "float8e8m0", 24}),
    [](const testing::TestParamInfo<Case> &info) { return std::string(info.param.onnx); });

} // namespace
