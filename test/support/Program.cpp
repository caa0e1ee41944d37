#include "test/support/Program.h"

#include <cstdlib>
#include <filesystem>
#include <optional>

using namespace sq;
using numerics::DType;
using numerics::Tensor;

test::TemporaryDirectory::TemporaryDirectory() {
  path = (std::filesystem::temp_directory_path() / "sq-test-XXXXXX").string();
  if (!mkdtemp(path.data())) {
    std::perror("cannot make a temporary folder");
    std::exit(EXIT_FAILURE);
  }
}

test::TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored; // nothing useful can be done about it here
  std::filesystem::remove_all(path, ignored);
}

namespace {

llvm::Error failure() { return llvm::createStringError(sq_last_error()); }

uint8_t codeOf(DType type) {
  switch (type) {
  case DType::BF16:
    return kDLBfloat;
  case DType::Bool:
    return kDLBool;
  case DType::F8E4M3FN:
    return kDLFloat8_e4m3fn;
  case DType::F8E4M3FNUZ:
    return kDLFloat8_e4m3fnuz;
  case DType::F8E5M2:
    return kDLFloat8_e5m2;
  case DType::F8E5M2FNUZ:
    return kDLFloat8_e5m2fnuz;
  case DType::F8E8M0:
    return kDLFloat8_e8m0fnu;
  case DType::F4E2M1:
    return kDLFloat4_e2m1fn;
  default:
    return numerics::isFloat(type) ? kDLFloat : numerics::isUnsigned(type) ? kDLUInt : kDLInt;
  }
}

DLDataType toDLPack(DType type) {
  return {codeOf(type), static_cast<uint8_t>(numerics::valueBits(type)), 1};
}

std::optional<DType> fromDLPack(DLDataType type) {
  for (int i = 0; i < numerics::numDTypes; ++i) {
    DLDataType own = toDLPack(static_cast<DType>(i));
    if (own.code == type.code && own.bits == type.bits && type.lanes == 1)
      return static_cast<DType>(i);
  }
  return std::nullopt;
}

} // namespace

llvm::Expected<test::Program> test::Program::load(const std::string &artifact, int threads,
                                                    const char *cpu) {
  Program program;
  sq_module_options moduleOptions = {};
  moduleOptions.size = sizeof moduleOptions;
  moduleOptions.cpu = cpu;
  sq_module *module = nullptr;
  if (sq_module_load(artifact.c_str(), &moduleOptions, &module) != SQ_STATUS_OK)
    return failure();
  program.module.reset(module);
  sq_session_options options = {};
  options.size = sizeof options;
  options.threads = threads;
  sq_session *session = nullptr;
  if (sq_session_create(module, &options, &session) != SQ_STATUS_OK)
    return failure();
  program.session.reset(session);
  return program;
}

DType test::Program::inputType(int32_t i) const {
  // A type that tests do not know fails in the run, with the runtime's message.
  return fromDLPack(sq_module_input(module.get(), i)->dtype).value_or(DType::F32);
}

llvm::Expected<std::vector<Tensor>> test::Program::run(const std::vector<Tensor> &inputs) {
  std::vector<std::vector<uint8_t>> buffers;
  std::vector<DLTensor> arguments;
  for (const Tensor &input : inputs) {
    buffers.push_back(numerics::toBytes(input));
    DLTensor argument = {};
    argument.data = buffers.back().data();
    argument.device = {kDLCPU, 0};
    argument.ndim = static_cast<int32_t>(input.rank());
    argument.dtype = toDLPack(input.dtype);
    argument.shape = const_cast<int64_t *>(input.shape.data());
    arguments.push_back(argument);
  }
  const std::vector<std::vector<uint8_t>> given = buffers;
  std::vector<DLTensor> outputs(sq_module_num_outputs(module.get()), DLTensor{});
  if (sq_session_run(session.get(), arguments.data(), static_cast<int32_t>(arguments.size()),
                     outputs.data(), static_cast<int32_t>(outputs.size())) != SQ_STATUS_OK)
    return failure();
  for (auto [i, buffer] : llvm::enumerate(buffers))
    if (buffer != given[i])
      return llvm::createStringError("the run wrote to the memory of its input " + std::to_string(i));

  std::vector<Tensor> results;
  for (const DLTensor &output : outputs) {
    std::optional<DType> type = fromDLPack(output.dtype);
    if (!type)
      return llvm::createStringError("an output has a type that tests do not know");
    numerics::Shape shape(output.shape, output.shape + output.ndim);
    const char *data = static_cast<const char *>(output.data) + output.byte_offset;
    results.push_back(numerics::fromBytes(*type, shape, data, numerics::numElements(shape) *
                                                                  numerics::bitWidth(*type) / 8));
  }
  return results;
}
