#include "runtime/core/module.h"

#include <dlfcn.h>
#include <new>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/core/cache.h"
#include "runtime/core/cpu.h"
#include "runtime/core/error.h"
#include "runtime/core/copy.h"
#include "runtime/core/file.h"
#include "runtime/core/huge.h"
#include "runtime/core/widen.h"
#include "runtime/cuda/module.h"

/* Present when this runtime is linked into an artifact. */
extern "C" __attribute__((weak)) const sq_artifact_descriptor sq_artifact;

namespace sq {
namespace {

/* Bounds that no real model reaches; they keep sums and products of counts
 * away from overflow. */
constexpr uint32_t maxTensors = 1 << 16, maxRank = 64;

struct DTypeInfo {
  const char *name;
  DLDataType type;
};

/* In the order of manifest.fbs. */
const DTypeInfo dtypes[] = {
    {"f32", {kDLFloat, 32, 1}}, {"f64", {kDLFloat, 64, 1}}, {"f16", {kDLFloat, 16, 1}},
    {"bf16", {kDLBfloat, 16, 1}}, {"i8", {kDLInt, 8, 1}}, {"u8", {kDLUInt, 8, 1}},
    {"i16", {kDLInt, 16, 1}}, {"u16", {kDLUInt, 16, 1}}, {"i32", {kDLInt, 32, 1}},
    {"u32", {kDLUInt, 32, 1}}, {"i64", {kDLInt, 64, 1}}, {"u64", {kDLUInt, 64, 1}},
    {"bool8", {kDLBool, 8, 1}}, {"i4", {kDLInt, 4, 1}}, {"u4", {kDLUInt, 4, 1}},
    {"i2", {kDLInt, 2, 1}}, {"u2", {kDLUInt, 2, 1}}, {"f8e4m3fn", {kDLFloat8_e4m3fn, 8, 1}},
    {"f8e4m3fnuz", {kDLFloat8_e4m3fnuz, 8, 1}}, {"f8e5m2", {kDLFloat8_e5m2, 8, 1}},
    {"f8e5m2fnuz", {kDLFloat8_e5m2fnuz, 8, 1}}, {"f8e8m0", {kDLFloat8_e8m0fnu, 8, 1}},
    {"f4e2m1", {kDLFloat4_e2m1fn, 4, 1}}};
constexpr int numDTypes = sizeof(dtypes) / sizeof(dtypes[0]);

sq_status corruptManifest(const char *what) {
  return fail(SQ_STATUS_CORRUPT, "the manifest is damaged: %s; build the artifact again", what);
}

using Tensors = flatbuffers::Vector<flatbuffers::Offset<manifest::Tensor>>;

sq_status checkTensors(const Tensors *tensors, int32_t *numDims) {
  if (tensors->size() > maxTensors)
    return corruptManifest("too many tensors");
  for (const manifest::Tensor *tensor : *tensors) {
    int dtype = static_cast<int>(tensor->dtype());
    if (dtype < 0 || dtype >= numDTypes)
      return corruptManifest("unknown dtype");
    if (tensor->dims()->size() > maxRank)
      return corruptManifest("rank above 64");
    for (const manifest::Dim *dim : *tensor->dims())
      if (dim->min() < 0 || dim->max() < dim->min())
        return corruptManifest("a dim's range is empty or negative");
    *numDims += static_cast<int32_t>(tensor->dims()->size());
  }
  return SQ_STATUS_OK;
}

/* Structure by the Verifier, then meaning. */
sq_status checkManifest(sq_module *module) {
  flatbuffers::Verifier verifier(module->manifestBytes, module->manifestSize);
  if (!manifest::VerifyManifestBuffer(verifier))
    return corruptManifest("not a valid FlatBuffer");
  module->manifest = manifest::GetManifest(module->manifestBytes);
  if (module->manifest->format_version() != SQ_FORMAT_VERSION)
    return fail(SQ_STATUS_UNSUPPORTED,
                "the artifact has manifest version %u, this runtime reads %u; use the runtime of "
                "the sq that built it",
                module->manifest->format_version(), SQ_FORMAT_VERSION);
  if (sq_status status = checkTensors(module->manifest->inputs(), &module->numDims))
    return status;
  if (sq_status status = checkTensors(module->manifest->outputs(), &module->numDims))
    return status;
  if (module->manifest->variants()->size() == 0)
    return corruptManifest("no code for any CPU level");
  const char *wrong = cuda::checkVariants(module->manifest);
  return wrong ? corruptManifest(wrong) : SQ_STATUS_OK;
}

/* The most demanding variant whose features are all there; on failure names
 * what the least demanding one lacks. */
sq_status chooseVariant(sq_module *module, const CpuCap &cap, const char *path, uint32_t *chosen) {
  const auto *variants = module->manifest->variants();
  char lacking[256] = "";
  for (uint32_t i = variants->size(); i-- > 0;) {
    size_t used = 0;
    lacking[0] = 0;
    for (const flatbuffers::String *feature : *variants->Get(i)->features())
      if (!cpuHas(feature->c_str(), cap) && used < sizeof(lacking))
        used += static_cast<size_t>(snprintf(lacking + used, sizeof(lacking) - used, "%s%s",
                                             used ? ", " : "", feature->c_str()));
    if (!used) {
      *chosen = i;
      return SQ_STATUS_OK;
    }
  }
  char reason[96] = "";
  if (*cap.name)
    snprintf(reason, sizeof(reason), " (the level was capped at %s)", cap.name);
  return fail(SQ_STATUS_UNSUPPORTED,
              "'%s' is built for %s, this CPU lacks %s%s; compile the model for this machine or "
              "run it elsewhere",
              path, variants->Get(0)->level()->c_str(), lacking, reason);
}

/* What the loaded code says of itself against the manifest. */
sq_status checkDescriptor(const sq_module *module) {
  const sq_artifact_descriptor *a = module->artifact;
  if (a->magic != SQ_ARTIFACT_MAGIC)
    return fail(SQ_STATUS_CORRUPT, "the artifact's descriptor is damaged; build it again");
  if (a->kernel_abi_version != SQ_KERNEL_ABI_VERSION)
    return fail(SQ_STATUS_UNSUPPORTED,
                "the artifact's code has kernel ABI %u, this runtime has %u; use the runtime of "
                "the sq that built it",
                a->kernel_abi_version, SQ_KERNEL_ABI_VERSION);
  const auto *variants = module->manifest->variants();
  bool same = a->num_variants == variants->size() &&
              a->weights_size == module->manifest->weights_size() &&
              a->manifest_size == module->manifestSize &&
              !memcmp(a->manifest, module->manifestBytes, module->manifestSize);
  for (uint32_t i = 0; same && i < a->num_variants; ++i)
    same = a->variants[i].entry && a->variants[i].level &&
           !strcmp(a->variants[i].level, variants->Get(i)->level()->c_str());
  if (!same)
    return fail(SQ_STATUS_CORRUPT, "code and manifest of the artifact disagree; build it again");
  return SQ_STATUS_OK;
}

void describe(const Tensors *tensors, sq_tensor_info *infos, sq_dim_info *&dim) {
  for (const manifest::Tensor *tensor : *tensors) {
    const auto *dims = tensor->dims();
    *infos++ = {tensor->name()->c_str(), dtypes[static_cast<int>(tensor->dtype())].type,
                static_cast<int32_t>(dims->size()), dim};
    for (const manifest::Dim *d : *dims)
      *dim++ = {d->name() ? d->name()->c_str() : "", d->min(), d->max()};
  }
}

/* Fills the tables behind sq_module_input and sq_module_output. */
sq_status describeSignature(sq_module *module) {
  const manifest::Manifest *m = module->manifest;
  module->numInputs = static_cast<int32_t>(m->inputs()->size());
  module->numOutputs = static_cast<int32_t>(m->outputs()->size());
  module->inputs = allocate<sq_tensor_info>(m->inputs()->size());
  module->outputs = allocate<sq_tensor_info>(m->outputs()->size());
  module->dims = allocate<sq_dim_info>(static_cast<size_t>(module->numDims));
  module->symbols = allocate<int32_t>(static_cast<size_t>(module->numDims));
  if (!module->inputs || !module->outputs || !module->dims || !module->symbols)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for the signature");
  sq_dim_info *dim = module->dims;
  describe(m->inputs(), module->inputs, dim);
  describe(m->outputs(), module->outputs, dim);
  for (int32_t i = 0; i < module->numDims; ++i) {
    module->symbols[i] = -1;
    if (!*module->dims[i].name)
      continue;
    for (int32_t j = 0; j < i && module->symbols[i] < 0; ++j)
      if (!strcmp(module->dims[i].name, module->dims[j].name))
        module->symbols[i] = module->symbols[j];
    if (module->symbols[i] < 0)
      module->symbols[i] = module->numSymbols++;
  }
  return SQ_STATUS_OK;
}

sq_status openLibrary(sq_module *module, const char *path) {
  char name[32];
  snprintf(name, sizeof(name), "/proc/self/fd/%d", module->fd);
  module->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!module->library) {
    const char *reason = dlerror();
    return fail(SQ_STATUS_UNSUPPORTED, "'%s' cannot be loaded: %s", path, reason ? reason : "?");
  }
  module->artifact =
      static_cast<const sq_artifact_descriptor *>(dlsym(module->library, "sq_artifact"));
  if (!module->artifact)
    return fail(SQ_STATUS_CORRUPT, "'%s' has no descriptor sq_artifact; build it again", path);
  return SQ_STATUS_OK;
}

sq_status load(const char *path, const sq_module_options &options, sq_module *module) {
  CpuCap cap;
  if (sq_status status = readCpuCap(options.cpu, &cap))
    return status;
  module->vectorBytes = cpuHas("avx512dq", cap) ? 64 : cpuHas("avx2", cap) ? 32 : 16;
  WeightsChoice choice;
  if (sq_status status = readWeightsChoice(options.weights, &choice))
    return status;
  cuda::Request request;
  if (sq_status status = cuda::readRequest(options.device, &request))
    return status;
  const char *shown = path ? path : "this program";
  ArtifactFile file = {};
  if (path) {
    if (sq_status status = openArtifact(path, options.verify_weights != 0, &file))
      return status;
    module->fd = file.fd;
    module->ownedManifest = file.manifest;
    module->manifestBytes = file.manifest;
    module->manifestSize = file.trailer.manifest_size;
  } else {
    if (!&sq_artifact)
      return fail(SQ_STATUS_NOT_FOUND, "no artifact is linked into this program; name a file");
    module->artifact = &sq_artifact;
    module->manifestBytes = sq_artifact.manifest;
    module->manifestSize = sq_artifact.manifest_size;
  }
  if (sq_status status = checkManifest(module))
    return status;
  if (path && file.trailer.weights_size != module->manifest->weights_size())
    return corruptManifest("its size of the weights is not the file's");
  if (sq_status status = cuda::checkRequest(request, module->manifest, shown))
    return status;
  uint32_t variant;
  bool forCuda = cuda::isForCuda(module->manifest);
  if (sq_status status = forCuda ? cuda::openDevice(module->manifest, request, cap, shown, &variant,
                                                    &module->cuda)
                                 : chooseVariant(module, cap, shown, &variant))
    return status;
  if (path)
    if (sq_status status = openLibrary(module, path))
      return status;
  if (sq_status status = checkDescriptor(module))
    return status;
  if (!path && options.verify_weights) {
    XXH128_hash_t hash = XXH3_128bits(module->artifact->weights, module->artifact->weights_size);
    if (hash.low64 != module->manifest->weights_hash_low() ||
        hash.high64 != module->manifest->weights_hash_high())
      return fail(SQ_STATUS_CORRUPT,
                  "the weights in this program were changed after it was built: their hash "
                  "differs; build it again");
  }
  module->variant = &module->artifact->variants[variant];
  if (sq_status status = forCuda ? cuda::loadCode(module, shown)
                                 : widenWeights(module, module->manifest->variants()->Get(variant)))
    return status;
  module->weights = module->artifact->weights;
  if (choice == WeightsChoice::Copied && !forCuda)
    if (sq_status status = copyWeights(module))
      return status;
  if (choice == WeightsChoice::Auto && !forCuda && path)
    if (sq_status status = mapHuge(module, file.trailer.weights_offset))
      return status;
  if (sq_status status = describeSignature(module))
    return status;
  return describeCache(module, &module->cache);
}

} // namespace

const char *dtypeName(DLDataType dtype) {
  for (const DTypeInfo &info : dtypes)
    if (info.type.code == dtype.code && info.type.bits == dtype.bits &&
        info.type.lanes == dtype.lanes)
      return info.name;
  return "?";
}

} // namespace sq

sq_status sq_module_load(const char *path, const sq_module_options *options, sq_module **result) {
  sq::clearError();
  if (!result)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_module_load: module is NULL");
  sq_module_options all = {sizeof(all), nullptr, 0, nullptr, nullptr};
  if (options) {
    if (options->size < sizeof(size_t))
      return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                      "sq_module_load: options.size is %zu; set it to sizeof(sq_module_options)",
                      options->size);
    memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
  }
  void *memory = calloc(1, sizeof(sq_module));
  if (!memory)
    return sq::fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a module");
  auto *module = new (memory) sq_module();
  module->references = 1;
  module->fd = -1;
  if (sq_status status = sq::load(path, all, module)) {
    sq_module_release(module);
    return status;
  }
  *result = module;
  return SQ_STATUS_OK;
}

void sq_module_release(sq_module *module) {
  if (!module || module->references.fetch_sub(1) != 1)
    return;
  sq::cuda::closeDevice(module->cuda);
  sq::freeWidened(module);
  sq::freeCopy(module);
  if (module->library)
    dlclose(module->library);
  if (module->fd >= 0)
    close(module->fd);
  free(module->inputs);
  free(module->outputs);
  free(module->dims);
  free(module->symbols);
  sq::freeCache(module->cache);
  free(module->ownedManifest);
  free(module);
}

int32_t sq_module_num_inputs(const sq_module *module) { return module ? module->numInputs : 0; }
int32_t sq_module_num_outputs(const sq_module *module) { return module ? module->numOutputs : 0; }

const sq_tensor_info *sq_module_input(const sq_module *module, int32_t index) {
  return module && index >= 0 && index < module->numInputs ? &module->inputs[index] : nullptr;
}

const sq_tensor_info *sq_module_output(const sq_module *module, int32_t index) {
  return module && index >= 0 && index < module->numOutputs ? &module->outputs[index] : nullptr;
}

const char *sq_module_cpu_level(const sq_module *module) {
  return module ? module->variant->level : "";
}

const char *sq_module_device(const sq_module *module) {
  return !module ? "" : module->cuda ? sq::cuda::deviceText(module->cuda) : "cpu";
}

const char *sq_module_note(const sq_module *module) {
  return module && *module->note ? module->note : nullptr;
}

const uint8_t *sq_module_manifest(const sq_module *module, size_t *size) {
  if (!module)
    return nullptr;
  if (size)
    *size = module->manifestSize;
  return module->manifestBytes;
}

int64_t sq_module_weight_bytes(const sq_module *module) {
  return module ? static_cast<int64_t>(module->artifact->weights_size) : 0;
}
