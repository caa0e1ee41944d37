#include "lib/tensorio/TensorProto.h"

#include <cstring>

#include <gtest/gtest.h>

#include "onnx/onnx_pb.h"

using namespace sq;

namespace {

using Proto = ONNX_NAMESPACE::TensorProto;

Status parse(const std::string &bytes, Tensor &t) {
  return parseTensorProto(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), "it", t);
}

std::string text(const Proto &proto) {
  Tensor t;
  Status s = parse(proto.SerializeAsString(), t);
  return s.ok() ? formatTensor(t, 9) : s.message;
}

Proto make(int type, std::initializer_list<int64_t> dims) {
  Proto proto;
  proto.set_data_type(type);
  for (int64_t d : dims)
    proto.add_dims(d);
  return proto;
}

// What onnx's own library writes is what is read.
TEST(TensorProto, Typed) {
  Proto p = make(Proto::FLOAT, {2});
  p.add_float_data(0.5);
  p.add_float_data(-2);
  p.set_name("x");
  p.set_doc_string("a field that does not matter");
  EXPECT_EQ(text(p), "2xf32=0.5,-2");
  Tensor t;
  ASSERT_TRUE(parse(p.SerializeAsString(), t).ok());
  EXPECT_EQ(t.name, "x");

  p = make(Proto::INT64, {2});
  p.add_int64_data(-1);
  p.add_int64_data(INT64_MAX);
  EXPECT_EQ(text(p), "2xi64=-1,9223372036854775807");
  p = make(Proto::INT8, {1, 2});
  p.add_int32_data(-128);
  p.add_int32_data(127);
  EXPECT_EQ(text(p), "1x2xi8=-128,127");
  p = make(Proto::FLOAT16, {1});
  p.add_int32_data(0x3800);
  EXPECT_EQ(text(p), "1xf16=0.5");
  p = make(Proto::BFLOAT16, {1});
  p.add_int32_data(0xbf80);
  EXPECT_EQ(text(p), "1xbf16=-1");
  p = make(Proto::UINT64, {1});
  p.add_uint64_data(UINT64_MAX);
  EXPECT_EQ(text(p), "1xu64=18446744073709551615");
  p = make(Proto::UINT32, {});
  p.add_uint64_data(UINT32_MAX);
  EXPECT_EQ(text(p), "u32=4294967295");
  p = make(Proto::DOUBLE, {1});
  p.add_double_data(0.1);
  EXPECT_EQ(text(p), "1xf64=0.1");
  p = make(Proto::BOOL, {2});
  p.add_int32_data(1);
  p.add_int32_data(0);
  EXPECT_EQ(text(p), "2xbool8=1,0");
}

TEST(TensorProto, Raw) {
  Proto p = make(Proto::INT16, {2});
  p.set_raw_data(std::string("\1\0\377\377", 4));
  EXPECT_EQ(text(p), "2xi16=1,-1");
  p = make(Proto::BOOL, {1});
  p.set_raw_data("\5");
  EXPECT_EQ(text(p), "1xbool8=1");
  EXPECT_EQ(text(make(Proto::FLOAT, {0, 4})), "0x4xf32=");
}

TEST(TensorProto, Refused) {
  Proto p = make(Proto::FLOAT, {2});
  p.set_raw_data("1234");
  EXPECT_EQ(text(p), "it is not a readable ONNX tensor: 2xf32 needs 2 elements, given 4 bytes");
  p = make(Proto::FLOAT, {2});
  p.add_float_data(1);
  EXPECT_EQ(text(p), "it is not a readable ONNX tensor: 2xf32 needs 2 elements, given 1");
  p.add_float_data(1);
  p.add_float_data(1);
  EXPECT_EQ(text(p), "it is not a readable ONNX tensor: malformed data, or more than the 2 elements "
                     "of 2xf32");
  p = make(Proto::FLOAT, {int64_t(1) << 40});
  EXPECT_EQ(text(p), "it is not a readable ONNX tensor: 1099511627776xf32 needs 1099511627776 "
                     "elements, given 9 bytes");
  EXPECT_EQ(text(make(Proto::FLOAT, {-1})),
            "it is not a readable ONNX tensor: the shape -1xf32 is negative or overflows");
  EXPECT_EQ(text(make(Proto::STRING, {1})),
            "it is not a readable ONNX tensor: data_type 8 is not supported");
  p = make(Proto::FLOAT, {1});
  p.set_data_location(Proto::EXTERNAL);
  EXPECT_EQ(text(p), "it is not a readable ONNX tensor: its data are in another file");
}

// Truncations and changed bytes are refused or read, never more.
TEST(TensorProto, Hostile) {
  Proto p = make(Proto::INT32, {2, 3});
  for (int i = 0; i < 6; ++i)
    p.add_int32_data(i * 1000);
  p.set_name("name");
  const std::string good = p.SerializeAsString();
  Tensor t;
  for (size_t length = 0; length < good.size(); ++length) {
    // On the heap with its exact size, so that a sanitizer sees a byte too far.
    std::vector<char> part(good.begin(), good.begin() + length);
    Status s = parseTensorProto(reinterpret_cast<const uint8_t *>(part.data()), length, "it", t);
    EXPECT_TRUE(s.ok() || s.code == ExitCode::Refused);
  }
  for (size_t i = 0; i < good.size(); ++i)
    for (int c = 0; c < 256; ++c) {
      std::string changed = good;
      changed[i] = static_cast<char>(c);
      Status s = parse(changed, t);
      EXPECT_TRUE(s.ok() || s.code == ExitCode::Refused);
    }
}

TEST(TensorProto, Packed) {
  Proto p = make(Proto::INT4, {3});
  p.set_raw_data("\x8f\x07", 2);
  EXPECT_EQ(text(p), "3xi4=-1,-8,7");
  p = make(Proto::UINT2, {5});
  p.add_int32_data(0xe4);
  p.add_int32_data(0x02);
  EXPECT_EQ(text(p), "5xu2=0,1,2,3,2");
  p = make(Proto::FLOAT4E2M1, {2});
  p.set_raw_data("\x9f", 1);
  EXPECT_EQ(text(p), "2xf4e2m1=-6,-0.5");
  p = make(Proto::FLOAT8E5M2, {2});
  p.set_raw_data("\x3c\xfc", 2);
  EXPECT_EQ(text(p), "2xf8e5m2=1,-inf");
  p = make(Proto::UINT4, {3});
  p.set_raw_data("\x12", 1);
  EXPECT_EQ(text(p), "it is not a readable ONNX tensor: 3xu4 needs 2 packed bytes, given 1 bytes");
}

} // namespace
