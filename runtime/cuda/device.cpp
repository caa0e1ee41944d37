#include "runtime/cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/error.h"
#include "runtime/core/session.h"
#include "runtime/cuda/module.h"

namespace sq {
namespace cuda {
namespace {

/* "sm_80, sm_90": the architectures of an artifact. */
struct ArchitecturesText {
  char text[128];
  explicit ArchitecturesText(const manifest::Manifest *manifest) {
    size_t used = 0;
    text[0] = 0;
    for (const manifest::Variant *variant : *manifest->variants())
      if (used < sizeof(text) - 16)
        used += static_cast<size_t>(snprintf(text + used, sizeof(text) - used, "%ssm_%u",
                                             used ? ", " : "", variant->device()->architecture()));
  }
};

bool hasCubin(const manifest::DeviceCode *code) { return code->cubin() && code->cubin()->size(); }
bool hasPtx(const manifest::DeviceCode *code) { return code->ptx() && code->ptx()->size(); }

bool canRun(const manifest::DeviceCode *code, int capability) {
  return canRunCubin(code, capability) ||
         (static_cast<int>(code->architecture()) <= capability &&
          (hasPtx(code) || code->functions()->size() == 0));
}

/* Index of the best variant, or -1. */
int bestVariant(const manifest::Manifest *manifest, int capability) {
  int best = -1;
  uint32_t bestArchitecture = 0;
  const auto *variants = manifest->variants();
  for (uint32_t i = 0; i < variants->size(); ++i) {
    const manifest::DeviceCode *code = variants->Get(i)->device();
    /* Of two for one architecture the later is the more special one. */
    if (code->architecture() >= bestArchitecture && canRun(code, capability)) {
      best = static_cast<int>(i);
      bestArchitecture = code->architecture();
    }
  }
  return best;
}

sq_status queryFailed(const char *what, Result result) {
  return fail(SQ_STATUS_UNSUPPORTED, "CUDA's driver does not tell %s: %s; check nvidia-smi", what,
              ErrorText(result).text);
}

/* Fills what is known of a device without a context. */
sq_status describe(int ordinal, Module *module) {
  module->ordinal = ordinal;
  int major = 0, minor = 0;
  if (Result r = driver.deviceGet(&module->device, ordinal))
    return queryFailed("of a device", r);
  if (Result r = driver.deviceName(module->name, sizeof(module->name), module->device))
    return queryFailed("a device's name", r);
  module->name[sizeof(module->name) - 1] = 0;
  Result r = driver.deviceAttribute(&major, attributeMajor, module->device);
  if (!r)
    r = driver.deviceAttribute(&minor, attributeMinor, module->device);
  if (!r)
    r = driver.deviceAttribute(&module->maxShared, attributeSharedOptIn, module->device);
  if (r)
    return queryFailed("a device's capability", r);
  module->capability = 10 * major + minor;
  snprintf(module->text, sizeof(module->text), "cuda:%d (%s, sm_%d)", ordinal, module->name,
           module->capability);
  return SQ_STATUS_OK;
}

sq_status cannotRun(const manifest::Manifest *manifest, const Module &device, bool others,
                    const char *path) {
  unsigned least = UINT32_MAX;
  for (const manifest::Variant *variant : *manifest->variants())
    if (variant->device()->architecture() < least)
      least = variant->device()->architecture();
  int capability = device.capability;
  const char *nor = others ? ", and no other device has it" : "";
  if (static_cast<int>(least) > capability)
    return fail(SQ_STATUS_UNSUPPORTED,
                "'%s' needs compute capability %u.%u, '%s' has %d.%d%s; run it on a newer device or "
                "compile the model with --target=host",
                path, least / 10, least % 10, device.name, capability / 10, capability % 10, nor);
  return fail(SQ_STATUS_UNSUPPORTED,
              "'%s' holds machine code for %s and no PTX, '%s' has compute capability %d.%d; "
              "compile the model with --target=cuda:sm_%d",
              path, ArchitecturesText(manifest).text, device.name, capability / 10,
              capability % 10, capability);
}

} // namespace

bool canRunCubin(const manifest::DeviceCode *code, int capability) {
  int architecture = static_cast<int>(code->architecture());
  return hasCubin(code) && architecture / 10 == capability / 10 && architecture <= capability;
}

sq_status readRequest(const char *option, Request *request) {
  const char *source = option ? "the device option" : "SQ_DEVICE";
  const char *text = option ? option : getenv("SQ_DEVICE");
  *request = {Request::Auto, -1, "auto", source};
  if (!text || !*text || !strcmp(text, "auto"))
    return SQ_STATUS_OK;
  request->text = text;
  if (!strcmp(text, "cpu")) {
    request->kind = Request::Host;
    return SQ_STATUS_OK;
  }
  request->kind = Request::Cuda;
  if (!strcmp(text, "cuda"))
    return SQ_STATUS_OK;
  char *end = nullptr;
  if (!strncmp(text, "cuda:", 5) && text[5] >= '0' && text[5] <= '9') {
    long number = strtol(text + 5, &end, 10);
    if (!*end && number <= 1000000) {
      request->ordinal = static_cast<int>(number);
      return SQ_STATUS_OK;
    }
  }
  return fail(SQ_STATUS_INVALID_ARGUMENT,
              "%s names the unknown device '%.64s'; valid are cpu, cuda, cuda:N, auto", source,
              text);
}

sq_status checkRequest(const Request &request, const manifest::Manifest *manifest,
                       const char *path) {
  bool forCuda = isForCuda(manifest);
  if (!forCuda && request.kind == Request::Cuda)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "'%s' is compiled for the CPU, but %s is %.64s; compile the model with "
                "--target=cuda:sm_80, or run on cpu",
                path, request.source, request.text);
  if (forCuda && request.kind == Request::Host)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "'%s' is compiled for CUDA (%s), but %s is cpu; compile the model with "
                "--target=host, or run on cuda",
                path, ArchitecturesText(manifest).text, request.source);
  return SQ_STATUS_OK;
}

bool isForCuda(const manifest::Manifest *manifest) {
  const auto *variants = manifest->variants();
  return variants->size() && variants->Get(0)->device();
}

const char *checkVariants(const manifest::Manifest *manifest) {
  bool forCuda = isForCuda(manifest);
  for (const manifest::Variant *variant : *manifest->variants()) {
    const manifest::DeviceCode *code = variant->device();
    if ((code != nullptr) != forCuda)
      return "variants for the CPU and for CUDA";
    if (!code)
      continue;
    if (code->architecture() < 10 || code->architecture() > 9999)
      return "an impossible CUDA architecture";
    if (variant->widened())
      return "a CUDA variant that reads widened weights";
    if (code->functions()->size() > (1u << 20) || code->messages()->size() > (1u << 20))
      return "too many kernels or messages";
    if (code->functions()->size() && !hasCubin(code) && !hasPtx(code))
      return "kernels without code";
  }
  return nullptr;
}

sq_status openDevice(const manifest::Manifest *manifest, const Request &request, const CpuCap &cap,
                     const char *path, uint32_t *variant, Module **result) {
  if (sq_status status = loadDriver())
    return status;
  int count = 0;
  if (Result r = driver.deviceCount(&count))
    return queryFailed("the number of devices", r);
  if (count <= 0)
    return fail(SQ_STATUS_UNSUPPORTED,
                "CUDA's driver finds no device; check nvidia-smi and CUDA_VISIBLE_DEVICES, or "
                "compile the model with --target=host");
  if (request.ordinal >= count)
    return fail(SQ_STATUS_UNSUPPORTED,
                "%s is %s, but CUDA's driver finds %d device%s, the last is cuda:%d; check "
                "CUDA_VISIBLE_DEVICES",
                request.source, request.text, count, count == 1 ? "" : "s", count - 1);
  Module *module = allocate<Module>(1);
  if (!module)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a module");
  int chosen = -1;
  int first = request.ordinal < 0 ? 0 : request.ordinal;
  int end = request.ordinal < 0 ? count : first + 1;
  sq_status status = SQ_STATUS_OK;
  for (int ordinal = first; !status && chosen < 0 && ordinal < end; ++ordinal) {
    status = describe(ordinal, module);
    if (!status)
      chosen = bestVariant(manifest, module->capability);
  }
  if (!status && chosen < 0) {
    if (first + 1 < end)
      status = describe(first, module);
    if (!status)
      status = cannotRun(manifest, *module, first + 1 < end, path);
  }
  for (uint32_t i = 0; !status && i < manifest->variants()->Get(chosen)->features()->size(); ++i) {
    const char *feature = manifest->variants()->Get(chosen)->features()->Get(i)->c_str();
    if (!cpuHas(feature, cap))
      status = fail(SQ_STATUS_UNSUPPORTED,
                    "'%s' runs on CUDA, but its host code needs %s, which this CPU lacks; compile "
                    "the model for this machine or run it elsewhere",
                    path, feature);
  }
  if (!status)
    if (Result r = driver.contextRetain(&module->context, module->device)) {
      module->context = nullptr;
      status = fail(r == errorOutOfMemory ? SQ_STATUS_OUT_OF_MEMORY : SQ_STATUS_UNSUPPORTED,
                    "%s cannot be used: %s; check nvidia-smi for what else runs there",
                    module->text, ErrorText(r).text);
    }
  if (status) {
    free(module);
    return status;
  }
  pthread_mutex_init(&module->lock, nullptr);
  module->deviceCode = manifest->variants()->Get(static_cast<uint32_t>(chosen))->device();
  *variant = static_cast<uint32_t>(chosen);
  *result = module;
  return SQ_STATUS_OK;
}

void closeDevice(Module *module) {
  if (!module)
    return;
  /* At the end of a process the driver may be gone already; results do not matter. */
  {
    ContextScope scope(module->context);
    if (scope.result == success) {
      if (module->weights)
        driver.memoryFree(module->weights);
      if (module->code)
        driver.moduleUnload(module->code);
    }
  }
  driver.contextRelease(module->device);
  pthread_mutex_destroy(&module->lock);
  free(module->functions);
  free(module);
}

int ordinal(const Module *module) { return module->ordinal; }
const char *deviceText(const Module *module) { return module->text; }

} // namespace cuda
} // namespace sq
