/* The tensors of a run against the signature. */
#include <stdio.h>
#include <string.h>

#include "runtime/core/error.h"
#include "runtime/core/session.h"
#include "runtime/cuda/device.h"

namespace sq {
namespace {

/* "[2, 3]" */
struct ShapeText {
  char text[256];
  ShapeText(const int64_t *shape, int32_t rank) {
    size_t used = static_cast<size_t>(snprintf(text, sizeof(text), "["));
    for (int32_t i = 0; i < rank && used < sizeof(text) - 24; ++i)
      used += static_cast<size_t>(snprintf(text + used, sizeof(text) - used, "%s%lld",
                                           i ? ", " : "", static_cast<long long>(shape[i])));
    snprintf(text + used, sizeof(text) - used, "]");
  }
};

/* Strides, when given, must say dense row-major; those of dims of size 0 and 1
 * do not matter. */
bool isDense(const DLTensor &tensor) {
  if (!tensor.strides)
    return true;
  int64_t stride = 1;
  for (int32_t i = tensor.ndim; i-- > 0;) {
    if (tensor.shape[i] == 0)
      return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride)
      return false;
    if (__builtin_mul_overflow(stride, tensor.shape[i], &stride))
      return false;
  }
  return true;
}

/* Where a tensor may lie: on the CPU, and for a module of a device also there. */
sq_status checkDevice(const char *kind, const sq_module *module, const sq_tensor_info &info,
                      const DLTensor &tensor) {
  int type = static_cast<int>(tensor.device.device_type), id = tensor.device.device_id;
  if (!module->cuda) {
    if (type == kDLCPU)
      return SQ_STATUS_OK;
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' lies on device type %d; copy it to the CPU (1)",
                kind, info.name, type);
  }
  int ordinal = cuda::ordinal(module->cuda);
  if (isOnHost(tensor) || (type == kDLCUDA && id == ordinal))
    return SQ_STATUS_OK;
  if (type == kDLCUDA)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%s '%s' lies on cuda:%d, this module runs on cuda:%d; copy it there or to the CPU",
                kind, info.name, id, ordinal);
  return fail(SQ_STATUS_INVALID_ARGUMENT,
              "%s '%s' lies on device type %d; copy it to the CPU (1) or to cuda:%d (2)", kind,
              info.name, type, ordinal);
}

/* What holds for inputs and given outputs alike. */
sq_status checkTensor(const char *kind, const sq_module *module, const sq_tensor_info &info,
                      const DLTensor &tensor) {
  if (sq_status status = checkDevice(kind, module, info, tensor))
    return status;
  if (tensor.dtype.code != info.dtype.code || tensor.dtype.bits != info.dtype.bits ||
      tensor.dtype.lanes != info.dtype.lanes)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' has dtype %s, expected %s", kind, info.name,
                dtypeName(tensor.dtype), dtypeName(info.dtype));
  if (tensor.ndim != info.rank)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' has rank %d, expected %d", kind, info.name,
                tensor.ndim, info.rank);
  if (tensor.ndim && !tensor.shape)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%s '%s' has no shape (NULL)", kind, info.name);
  if (!isDense(tensor))
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%s '%s' has strides; make it dense row-major (strides NULL)", kind, info.name);
  return SQ_STATUS_OK;
}

/* "batch" or "dim 1". */
struct DimName {
  char text[160];
  DimName(const sq_dim_info &dim, int32_t index) {
    if (*dim.name)
      snprintf(text, sizeof(text), "dim %d (%.120s)", index, dim.name);
    else
      snprintf(text, sizeof(text), "dim %d", index);
  }
};

sq_status checkDims(sq_session *session, int32_t index, const DLTensor &tensor) {
  const sq_module *module = session->module;
  const sq_tensor_info &info = module->inputs[index];
  for (int32_t i = 0; i < info.rank; ++i) {
    const sq_dim_info &dim = info.dims[i];
    long long size = tensor.shape[i];
    if (size < dim.min || size > dim.max) {
      char expected[64];
      if (dim.min == dim.max)
        snprintf(expected, sizeof(expected), "%lld", static_cast<long long>(dim.min));
      else if (dim.max == INT64_MAX)
        snprintf(expected, sizeof(expected), "at least %lld", static_cast<long long>(dim.min));
      else
        snprintf(expected, sizeof(expected), "%lld to %lld", static_cast<long long>(dim.min),
                 static_cast<long long>(dim.max));
      return fail(SQ_STATUS_INVALID_ARGUMENT, "input '%s' has %lld for %s, expected %s", info.name,
                  size, DimName(dim, i).text, expected);
    }
    int32_t symbol = module->symbols[&dim - module->dims];
    if (symbol < 0)
      continue;
    if (session->symbolValues[symbol] < 0) {
      session->symbolValues[symbol] = size;
      session->symbolInputs[symbol] = index;
    } else if (session->symbolValues[symbol] != size) {
      return fail(SQ_STATUS_INVALID_ARGUMENT,
                  "input '%s' has %lld for %s, but input '%s' has %lld; they must be equal",
                  info.name, size, DimName(dim, i).text,
                  module->inputs[session->symbolInputs[symbol]].name,
                  static_cast<long long>(session->symbolValues[symbol]));
    }
  }
  return SQ_STATUS_OK;
}

} // namespace

sq_status checkInputs(sq_session *session, const DLTensor *inputs, int32_t count) {
  const sq_module *module = session->module;
  if (count != module->numInputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%d inputs given, the model has %d", count,
                module->numInputs);
  if (count && !inputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "inputs is NULL");
  memset(session->symbolValues, -1, sizeof(int64_t) * static_cast<size_t>(module->numSymbols));
  for (int32_t i = 0; i < count; ++i) {
    const sq_tensor_info &info = module->inputs[i];
    if (sq_status status = checkTensor("input", module, info, inputs[i]))
      return status;
    if (sq_status status = checkDims(session, i, inputs[i]))
      return status;
    int64_t bytes = elementBytes(info.dtype);
    for (int32_t d = 0; d < info.rank; ++d)
      if (__builtin_mul_overflow(bytes, inputs[i].shape[d], &bytes))
        return fail(SQ_STATUS_INVALID_ARGUMENT, "input '%s' has the impossible shape %s", info.name,
                    ShapeText(inputs[i].shape, info.rank).text);
    if (bytes && !inputs[i].data)
      return fail(SQ_STATUS_INVALID_ARGUMENT, "input '%s' has no data (NULL)", info.name);
    session->inputBytes[i] = bytes;
    session->inputs[i] = {static_cast<const uint8_t *>(inputs[i].data) + inputs[i].byte_offset,
                          inputs[i].shape};
  }
  return SQ_STATUS_OK;
}

sq_status checkOutputs(sq_session *session, const DLTensor *outputs, int32_t count) {
  const sq_module *module = session->module;
  if (count != module->numOutputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "%d outputs given, the model has %d", count,
                module->numOutputs);
  if (count && !outputs)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "outputs is NULL");
  for (int32_t i = 0; i < count; ++i) {
    if (outputs[i].data)
      if (sq_status status = checkTensor("output", module, module->outputs[i], outputs[i]))
        return status;
    session->outputs[i].given = outputs[i].data ? &outputs[i] : nullptr;
    session->outputs[i].data = nullptr;
  }
  return SQ_STATUS_OK;
}

bool checkOutputShape(sq_session *session, int32_t index, const int64_t *shape, int64_t *bytes) {
  if (index < 0 || index >= session->module->numOutputs) {
    note(session, SQ_STATUS_INTERNAL, "the code asks for output %d of %d", index,
         session->module->numOutputs);
    return false;
  }
  const sq_tensor_info &info = session->module->outputs[index];
  const Output &output = session->outputs[index];
  *bytes = elementBytes(info.dtype);
  bool overflow = false;
  for (int32_t i = 0; i < info.rank; ++i)
    overflow |= shape[i] < 0 || __builtin_mul_overflow(*bytes, shape[i], bytes);
  if (overflow) {
    note(session, SQ_STATUS_INTERNAL, "output '%s' would have the shape %s", info.name,
         ShapeText(shape, info.rank).text);
    return false;
  }
  for (int32_t i = 0; output.given && i < info.rank; ++i)
    if (output.given->shape[i] != shape[i]) {
      note(session, SQ_STATUS_INVALID_ARGUMENT,
           "output '%s' has the shape %s, the buffer given for it has %s", info.name,
           ShapeText(shape, info.rank).text, ShapeText(output.given->shape, info.rank).text);
      return false;
    }
  if (info.rank)
    memcpy(output.shape, shape, sizeof(int64_t) * static_cast<size_t>(info.rank));
  return true;
}

} // namespace sq
