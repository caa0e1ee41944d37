#include "lib/run/Module.h"

#include <cstdio>
#include <cstring>

namespace sq {
namespace {

DLDataType toDLPack(DType dtype) {
  auto code = [&]() -> uint8_t {
    switch (dtype) {
    case DType::bool8:
      return kDLBool;
    case DType::bf16:
      return kDLBfloat;
    case DType::f8e4m3fn:
      return kDLFloat8_e4m3fn;
    case DType::f8e4m3fnuz:
      return kDLFloat8_e4m3fnuz;
    case DType::f8e5m2:
      return kDLFloat8_e5m2;
    case DType::f8e5m2fnuz:
      return kDLFloat8_e5m2fnuz;
    case DType::f8e8m0:
      return kDLFloat8_e8m0fnu;
    case DType::f4e2m1:
      return kDLFloat4_e2m1fn;
    default:
      return isFloat(dtype) ? kDLFloat : dtypeName(dtype)[0] == 'u' ? kDLUInt : kDLInt;
    }
  };
  return {code(), static_cast<uint8_t>(valueBits(dtype)), 1};
}

bool fromDLPack(DLDataType type, DType &dtype) {
  for (int i = 0; i < numDTypes; ++i) {
    dtype = static_cast<DType>(i);
    DLDataType known = toDLPack(dtype);
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1)
      return true;
  }
  return false;
}

std::vector<sq_dim_info> dimsOf(const sq_tensor_info &info) {
  return std::vector<sq_dim_info>(info.dims, info.dims + info.rank);
}

} // namespace

Status fromRuntime(sq_status status) {
  if (status == SQ_STATUS_OK)
    return {};
  ExitCode code = ExitCode::Defect;
  switch (status) {
  case SQ_STATUS_INVALID_ARGUMENT:
  case SQ_STATUS_NOT_FOUND:
  case SQ_STATUS_CORRUPT:
    code = ExitCode::Refused;
    break;
  case SQ_STATUS_UNSUPPORTED:
  case SQ_STATUS_OUT_OF_MEMORY:
  case SQ_STATUS_IO:
    code = ExitCode::Lacking;
    break;
  case SQ_STATUS_OK:
  case SQ_STATUS_INTERNAL:
    break;
  }
  const char *message = sq_last_error();
  return {code, message && *message ? message : sq_status_string(status)};
}

std::string Port::describe() const {
  std::string text;
  for (const sq_dim_info &dim : dims) {
    if (dim.min == dim.max && !*dim.name) {
      text += std::to_string(dim.min) + " x ";
      continue;
    }
    text += *dim.name ? dim.name : "?";
    text += "[" + std::to_string(dim.min) + "..";
    text += (dim.max == INT64_MAX ? "" : std::to_string(dim.max)) + "] x ";
  }
  return text + dtypeName(dtype);
}

std::string Port::dimName(size_t axis) const {
  const char *symbol = dims[axis].name;
  return *symbol ? symbol : name + ":" + std::to_string(axis);
}

Status Module::load(const char *path, const RunOptions &chosen) {
  sq_module_options options{};
  options.size = sizeof options;
  options.cpu = chosen.cpu.empty() ? nullptr : chosen.cpu.c_str();
  options.device = chosen.device.empty() ? nullptr : chosen.device.c_str();
  options.verify_weights = chosen.verifyWeights;
  if (Status s = fromRuntime(sq_module_load(path, &options, &handle)); !s.ok())
    return s;
  if (onDevice() && (chosen.device.empty() || chosen.device == "auto"))
    std::fprintf(stderr, "note: runs on %s\n", sq_module_device(handle));
  if (const char *note = sq_module_note(handle))
    std::fprintf(stderr, "note: %s\n", note);
  for (bool isInput : {true, false}) {
    int32_t count = isInput ? sq_module_num_inputs(handle) : sq_module_num_outputs(handle);
    for (int32_t i = 0; i < count; ++i) {
      const sq_tensor_info &info = isInput ? *sq_module_input(handle, i) : *sq_module_output(handle, i);
      Port port{info.name, DType::f32, dimsOf(info)};
      if (!fromDLPack(info.dtype, port.dtype))
        return {ExitCode::Refused, "'" + port.name + "' has an element type these tools do not know"};
      (isInput ? inputPorts : outputPorts).push_back(std::move(port));
    }
  }
  return {};
}

std::string Module::signature() const {
  std::string text;
  for (bool isInput : {true, false})
    for (const Port &port : isInput ? inputPorts : outputPorts)
      text += std::string(text.empty() ? "" : "\n") + (isInput ? "  input  " : "  output ") +
              port.name + ": " + port.describe();
  return text;
}

int findPort(const std::vector<Port> &ports, const std::string &name) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == name)
      return static_cast<int>(i);
  return -1;
}

Status fitInput(const Port &port, Tensor &tensor) {
  Status s = convert(tensor, port.dtype);
  if (!s.ok())
    s.message = "input '" + port.name + "': " + s.message;
  return s;
}

Status Session::create(const Module &m, int threads, int cudaGraphs) {
  module = &m;
  sq_session_options options{};
  options.size = sizeof options;
  options.threads = threads;
  options.cuda_graphs = cudaGraphs;
  outputs.resize(m.outputs().size());
  return fromRuntime(sq_session_create(m.get(), &options, &handle));
}

void Session::bind(const std::vector<Tensor> &tensors) {
  inputs.clear();
  for (const Tensor &t : tensors) {
    DLTensor d{};
    // The runtime does not change inputs; DLPack has no const.
    d.data = const_cast<uint8_t *>(t.bytes.data());
    d.device = {kDLCPU, 0};
    d.ndim = static_cast<int32_t>(t.shape.size());
    d.dtype = toDLPack(t.dtype);
    d.shape = const_cast<int64_t *>(t.shape.data());
    inputs.push_back(d);
  }
}

Status Session::run() {
  for (DLTensor &d : outputs)
    d = DLTensor{}; // null data: the session's memory
  return fromRuntime(sq_session_run(handle, inputs.data(), static_cast<int32_t>(inputs.size()),
                                    outputs.data(), static_cast<int32_t>(outputs.size())));
}

Status Session::output(int index, Tensor &tensor) const {
  const DLTensor &d = outputs[index];
  const Port &port = module->outputs()[index];
  std::vector<int64_t> shape(d.shape, d.shape + d.ndim);
  if (Status s = tensor.allocate(port.dtype, std::move(shape)); !s.ok())
    return s;
  tensor.name = port.name;
  if (tensor.bytes.size())
    std::memcpy(tensor.bytes.data(), static_cast<const char *>(d.data) + d.byte_offset,
                tensor.bytes.size());
  return {};
}

Status Session::stats(sq_session_stats &stats) const {
  stats = {};
  stats.size = sizeof stats;
  return fromRuntime(sq_session_get_stats(handle, &stats));
}

int report(const char *tool, const Status &status) {
  if (!status.ok()) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s\n", tool, status.message.c_str());
  }
  return static_cast<int>(status.code);
}

} // namespace sq
