#include "test/support/TensorFiles.h"

#include "lib/tensorio/Npy.h"
#include "lib/tensorio/TensorProto.h"

using namespace sq;

namespace {

const struct {
  DType file;
  numerics::DType oracle;
} types[numDTypes] = {
    {DType::f32, numerics::DType::F32},    {DType::f64, numerics::DType::F64},
    {DType::f16, numerics::DType::F16},    {DType::bf16, numerics::DType::BF16},
    {DType::i8, numerics::DType::I8},      {DType::u8, numerics::DType::U8},
    {DType::i16, numerics::DType::I16},    {DType::u16, numerics::DType::U16},
    {DType::i32, numerics::DType::I32},    {DType::u32, numerics::DType::U32},
    {DType::i64, numerics::DType::I64},    {DType::u64, numerics::DType::U64},
    {DType::bool8, numerics::DType::Bool}, {DType::i4, numerics::DType::I4},
    {DType::u4, numerics::DType::U4},      {DType::i2, numerics::DType::I2},
    {DType::u2, numerics::DType::U2},      {DType::f8e4m3fn, numerics::DType::F8E4M3FN},
    {DType::f8e4m3fnuz, numerics::DType::F8E4M3FNUZ},
    {DType::f8e5m2, numerics::DType::F8E5M2},
    {DType::f8e5m2fnuz, numerics::DType::F8E5M2FNUZ},
    {DType::f8e8m0, numerics::DType::F8E8M0}, {DType::f4e2m1, numerics::DType::F4E2M1},
};

llvm::Expected<numerics::Tensor> read(const std::string &path,
                                      Status (*reader)(const std::string &, Tensor &)) {
  Tensor tensor;
  if (Status status = reader(path, tensor); !status.ok())
    return llvm::createStringError(status.message);
  for (const auto &type : types)
    if (type.file == tensor.dtype) {
      try {
        return numerics::fromBytes(type.oracle, tensor.shape, tensor.bytes.data(),
                                   tensor.bytes.size());
      } catch (const numerics::Error &error) {
        return llvm::createStringError(path + ": " + error.what());
      }
    }
  return llvm::createStringError(path + ": elements of a type that tests do not know");
}

} // namespace

llvm::Expected<numerics::Tensor> test::readTensorProto(const std::string &path) {
  return read(path, sq::readTensorProto);
}

llvm::Expected<numerics::Tensor> test::readNpy(const std::string &path) {
  return read(path, sq::readNpy);
}

llvm::Error test::writeNpy(const std::string &path, const numerics::Tensor &tensor) {
  numerics::Tensor wide = tensor.isFloat() ? numerics::cast(tensor, numerics::DType::F64) : tensor;
  std::vector<uint8_t> bytes = numerics::toBytes(wide);
  Tensor written;
  for (const auto &type : types)
    if (type.oracle == wide.dtype)
      written.dtype = type.file;
  Status status = written.allocate(written.dtype, wide.shape);
  if (status.ok()) {
    std::copy(bytes.begin(), bytes.end(), written.bytes.data());
    status = sq::writeNpy(path, written);
  }
  return status.ok() ? llvm::Error::success() : llvm::createStringError(status.message);
}
