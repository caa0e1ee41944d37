#include "runtime/cuda/module.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/core/error.h"
#include "runtime/core/session.h"

namespace sq {
namespace cuda {
namespace {

/* A PTX log as part of one message: the first lines of it. */
void flatten(char *log) {
  size_t length = strlen(log);
  while (length && (log[length - 1] == '\n' || log[length - 1] == ' '))
    log[--length] = 0;
  for (char *c = log; *c; ++c)
    if (*c == '\n' || *c == '\r')
      *c = ' ';
}

sq_status outOfMemory(const Module *module, const char *what) {
  size_t free = 0, total = 0;
  driver.memoryInfo(&free, &total);
  return fail(SQ_STATUS_OUT_OF_MEMORY,
              "out of device memory for %s: %s has %zu bytes free; end what else runs there", what,
              module->text, free);
}

sq_status loadImage(sq_module *owner, const char *path) {
  Module *module = owner->cuda;
  const manifest::DeviceCode *code = module->deviceCode;
  unsigned architecture = code->architecture();
  int major = driver.version / 1000, minor = driver.version % 1000 / 10;
  Result cubinResult = success;
  if (canRunCubin(code, module->capability)) {
    cubinResult = driver.moduleLoad(&module->code, code->cubin()->data(), 0, nullptr, nullptr);
    if (!cubinResult)
      return SQ_STATUS_OK;
    module->code = nullptr;
    if (cubinResult == errorOutOfMemory)
      return outOfMemory(module, "the kernels");
    if (!code->ptx() || !code->ptx()->size())
      return fail(SQ_STATUS_UNSUPPORTED,
                  "the driver (CUDA %d.%d) refuses the machine code for sm_%u of '%s': %s; install "
                  "a newer driver or compile the model on this machine",
                  major, minor, architecture, path, ErrorText(cubinResult).text);
  }
  /* FlatBuffers' strings end with a 0, as the driver wants its PTX. */
  char log[512] = "";
  int options[] = {jitErrorLog, jitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  Result result = driver.moduleLoad(&module->code, code->ptx()->c_str(), 2, options, values);
  if (!result) {
    snprintf(owner->note, sizeof(owner->note),
             "the driver compiled the kernels from PTX for sm_%u%s", architecture,
             cubinResult ? " (it refused the machine code)" : "");
    return SQ_STATUS_OK;
  }
  module->code = nullptr;
  log[sizeof(log) - 1] = 0;
  flatten(log);
  if (result == errorOutOfMemory)
    return outOfMemory(module, "the kernels");
  if (result == errorUnsupportedPtx)
    return fail(SQ_STATUS_UNSUPPORTED,
                "the driver (CUDA %d.%d) is too old for the PTX of '%s'%s%s; install a newer driver, "
                "or compile the model where ptxas is found",
                major, minor, path, *log ? ": " : "", log);
  return fail(result == errorInvalidPtx ? SQ_STATUS_INTERNAL : SQ_STATUS_UNSUPPORTED,
              "the driver (CUDA %d.%d) cannot compile the PTX for sm_%u of '%s' for %s: %s%s%s; "
              "install a newer driver, or compile the model where ptxas is found",
              major, minor, architecture, path, module->text, ErrorText(result).text,
              *log ? ": " : "", log);
}

sq_status findFunctions(Module *module, const char *path) {
  const auto *names = module->deviceCode->functions();
  module->functions = allocate<Function>(names->size());
  if (!module->functions)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for the kernels");
  for (uint32_t i = 0; i < names->size(); ++i)
    if (Result result = driver.moduleFunction(&module->functions[i].kernel, module->code,
                                              names->Get(i)->c_str()))
      return result == errorOutOfMemory
                 ? outOfMemory(module, "the kernels")
                 : fail(SQ_STATUS_CORRUPT,
                        "the device code of '%s' has no kernel '%.128s': %s; build it again", path,
                        names->Get(i)->c_str(), ErrorText(result).text);
  return SQ_STATUS_OK;
}

/* Piece by piece: of the mapped file no more than a piece is resident. */
sq_status uploadWeights(Module *module, const uint8_t *weights, size_t bytes) {
  constexpr size_t piece = 16 << 20, page = 4096;
  if (!bytes)
    return SQ_STATUS_OK;
  if (sq_status status = allocateMemory(module, bytes, "the weights need", &module->weights))
    return status;
  module->weightBytes = bytes;
  for (size_t at = 0; at < bytes; at += piece) {
    size_t size = bytes - at < piece ? bytes - at : piece;
    if (Result result = driver.upload(module->weights + at, weights + at, size))
      return fail(SQ_STATUS_INTERNAL, "copying the weights to %s failed: %s", module->text,
                  ErrorText(result).text);
    /* Whole pages of the weights only; they come from the file again if read. */
    uintptr_t begin = (reinterpret_cast<uintptr_t>(weights + at) + page - 1) / page * page;
    uintptr_t end = reinterpret_cast<uintptr_t>(weights + at + size) / page * page;
    if (begin < end)
      madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
  }
  /* Streams that do not wait for the default one must see them. */
  if (Result result = driver.contextSynchronize())
    return fail(SQ_STATUS_INTERNAL, "copying the weights to %s failed: %s", module->text,
                ErrorText(result).text);
  return SQ_STATUS_OK;
}

} // namespace

sq_status allocateMemory(const Module *module, size_t bytes, const char *what, Address *address) {
  Result result = driver.memoryAlloc(address, bytes);
  if (!result)
    return SQ_STATUS_OK;
  *address = 0;
  if (result != errorOutOfMemory)
    return fail(SQ_STATUS_INTERNAL, "allocating %zu bytes on %s failed: %s", bytes, module->text,
                ErrorText(result).text);
  size_t free = 0, total = 0;
  driver.memoryInfo(&free, &total);
  return fail(SQ_STATUS_OUT_OF_MEMORY,
              "out of device memory: %s %zu bytes, %s has %zu of %zu bytes free; use smaller dims or "
              "a larger device",
              what, bytes, module->text, free, total);
}

sq_status loadCode(sq_module *owner, const char *path) {
  Module *module = owner->cuda;
  ContextScope scope(module->context);
  if (scope.result)
    return fail(SQ_STATUS_INTERNAL, "%s cannot be used: %s", module->text,
                ErrorText(scope.result).text);
  if (module->deviceCode->functions()->size()) {
    if (sq_status status = loadImage(owner, path))
      return status;
    if (sq_status status = findFunctions(module, path))
      return status;
  }
  return uploadWeights(module, owner->artifact->weights, owner->artifact->weights_size);
}

Result allowShared(Module *module, int32_t index, int32_t bytes) {
  Function &function = module->functions[index];
  if (bytes <= function.shared.load(std::memory_order_acquire))
    return success;
  /* Sessions of other threads may ask for more of the same function. */
  pthread_mutex_lock(&module->lock);
  Result result = success;
  if (bytes > function.shared.load(std::memory_order_relaxed)) {
    result = driver.functionSet(function.kernel, functionDynamicShared, bytes);
    if (!result)
      function.shared.store(bytes, std::memory_order_release);
  }
  pthread_mutex_unlock(&module->lock);
  return result;
}

} // namespace cuda
} // namespace sq
