#include "lib/inspect/Inspect.h"

#include <unistd.h>

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/run/Module.h"
#include "runtime/core/file.h"
#include "runtime/core/manifest_generated.h"

using namespace sq;
using namespace sq::inspect;

static std::string text(const flatbuffers::String *string) { return string ? string->str() : ""; }

static std::vector<ManifestTensor>
tensors(const flatbuffers::Vector<flatbuffers::Offset<manifest::Tensor>> &list) {
  std::vector<ManifestTensor> result;
  for (const manifest::Tensor *tensor : list) {
    ManifestTensor &made = result.emplace_back();
    made.name = text(tensor->name());
    made.dtype = manifest::EnumNameDType(tensor->dtype());
    for (const manifest::Dim *dim : *tensor->dims())
      made.dims.push_back({text(dim->name()), dim->min(), dim->max()});
  }
  return result;
}

template <typename List> static std::vector<std::string> strings(const List *list) {
  std::vector<std::string> result;
  if (list)
    for (const flatbuffers::String *string : *list)
      result.push_back(string->str());
  return result;
}

Status inspect::readArtifact(const std::string &path, Artifact &artifact) {
  artifact.path = path;
  ArtifactFile file;
  if (Status s = fromRuntime(openArtifact(path.c_str(), /*verifyWeights=*/false, &file)); !s.ok())
    return s;
  llvm::scope_exit release([&] {
    close(file.fd);
    free(file.manifest);
  });
  const sq_trailer &trailer = file.trailer;
  flatbuffers::Verifier verifier(file.manifest, trailer.manifest_size);
  if (!manifest::VerifyManifestBuffer(verifier))
    return Status::refused("'" + path + "' has a damaged manifest; build the artifact again");
  const manifest::Manifest &m = *manifest::GetManifest(file.manifest);
  if (m.format_version() != SQ_FORMAT_VERSION)
    return Status::refused("'" + path + "' has manifest version " + std::to_string(m.format_version()) +
                           ", this sq reads " + std::to_string(SQ_FORMAT_VERSION) +
                           "; use the sq that built it");
  artifact.formatVersion = m.format_version();
  artifact.producer = text(m.producer());
  artifact.inputs = tensors(*m.inputs());
  artifact.outputs = tensors(*m.outputs());
  artifact.weightsHash = llvm::formatv("{0:x-16}{1:x-16}", m.weights_hash_high(), m.weights_hash_low());
  artifact.fileBytes = trailer.payload_size + sizeof(trailer);
  artifact.weightBytes = trailer.weights_size;
  artifact.manifestBytes = trailer.manifest_size;
  artifact.codeBytes = artifact.fileBytes - artifact.weightBytes - artifact.manifestBytes;
  artifact.unpackedBytes = static_cast<int64_t>(m.unpacked_size());
  artifact.widenedBytes = static_cast<int64_t>(m.widened_size() - m.unpacked_size());
  if (const manifest::Cache *cache = m.cache())
    for (const manifest::State *state : *cache->states()) {
      ++artifact.caches;
      // (Unsigned: nobody has checked these numbers.)
      artifact.cacheBytes += 4 * static_cast<uint64_t>(state->heads()) * static_cast<uint64_t>(state->size());
    }
  for (const manifest::Variant *variant : *m.variants()) {
    Variant &made = artifact.variants.emplace_back();
    made.level = text(variant->level());
    made.features = strings(variant->features());
    if (const manifest::DeviceCode *device = variant->device()) {
      made.functions = device->functions()->size();
      made.cubinBytes = device->cubin() ? device->cubin()->size() : 0;
      made.ptxBytes = device->ptx() ? device->ptx()->size() : 0;
    }
  }
  for (const manifest::Kernel *kernel : *m.kernels()) {
    std::string name = text(kernel->name());
    artifact.kernels.push_back({name.substr(0, name.find(':')), {}, strings(kernel->nodes()), text(kernel->flops()),
                                text(kernel->bytes_read()), text(kernel->bytes_written())});
  }
  return {};
}
