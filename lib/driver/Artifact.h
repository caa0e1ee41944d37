/// The last step of a compile: object files, manifest and weights become one
/// artifact (shared object, executable, or static library with a header).
#ifndef SQ_LIB_DRIVER_ARTIFACT_H
#define SQ_LIB_DRIVER_ARTIFACT_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include "sq/compiler.h"

namespace sq {

/// Mirror of runtime/core/manifest.fbs.
struct ManifestDim {
  std::string name;          // symbol, or empty
  int64_t min = 0, max = 0;  // inclusive; INT64_MAX: unbounded
};

struct ManifestTensor {
  std::string name;
  std::string dtype;         // "f32", "i64", "bool8", ... (sq.dtype)
  std::vector<ManifestDim> dims;
};

/// Kernels of a CUDA variant.
struct ManifestDevice {
  uint32_t architecture = 0;              // 80 for sm_80
  std::vector<std::string> functions, messages;
  llvm::SmallVector<char, 0> cubin;       // empty without ptxas
  std::string ptx;
};

struct ManifestKernel {
  std::string name;
  std::vector<std::string> nodes;             // of the ONNX graph
  std::string flops, bytesRead, bytesWritten; // formulas of the symbolic dims, or empty
};

struct ManifestVariant {
  std::string level;                  // as in sq_variant, same order
  std::vector<std::string> features;  // what the code needs: levelFeatures(level)
  bool widened = false;               // it reads f32 copies of bf16 weights
  std::optional<ManifestDevice> device = {}; // of CUDA variants
  std::vector<ManifestKernel> kernels;       // where they are not the first variant's
};

struct ManifestWidened {
  uint64_t source = 0, destination = 0; // bytes
  uint64_t depth = 0, columns = 0;
};

struct ManifestUnpacked {
  uint64_t source = 0, destination = 0; // bytes
  uint64_t count = 0;
  uint8_t bits = 0;
};

struct ManifestState {
  int32_t input = 0, output = 0, axis = 0;
  int64_t heads = 0, size = 0;
};

struct ManifestCache {
  std::vector<ManifestState> states;
  int32_t tokens = 0, positions = -1;
  int64_t vocabulary = 0;
  std::vector<int32_t> selected;
};

struct Manifest {
  std::string producer = "sq 0.1.0";
  std::string modelName;
  std::vector<ManifestTensor> inputs, outputs;
  std::vector<ManifestVariant> variants;
  std::vector<ManifestKernel> kernels; // of the first variant, indexed by sq_kernel_context.parallel's `kernel`
  std::string report;                 // JSON
  std::vector<ManifestWidened> widened;
  uint64_t widenedSize = 0;
  std::vector<ManifestUnpacked> unpacked;
  uint64_t unpackedSize = 0; // of widenedSize, the first
  std::optional<ManifestCache> cache = {};
  uint64_t codedBegin = 0, codedEnd = 0; // of the weight section
};

/// A piece of the weight section. `write` fills `destination` (`size` bytes,
/// zero before, mapped from the file that is being written; 64-byte aligned if
/// `offset` is); called once, from any thread, chunks run concurrently.
struct WeightChunk {
  uint64_t offset = 0, size = 0;
  std::function<llvm::Error(llvm::MutableArrayRef<uint8_t> destination)> write;
};

struct ArtifactSpec {
  /// Decides the kind: ".so", ".a" (a ".h" is written beside it), otherwise an
  /// executable.
  std::string output;
  /// ELF objects, position independent. One of them defines `sq_artifact`
  /// (sq_artifact_descriptor). They may refer to these symbols, which the
  /// writer defines (hidden visibility will do):
  ///   sq_manifest_begin, sq_weights_begin   addresses
  ///   sq_manifest_bytes, sq_weights_bytes   absolute: their addresses are the sizes
  std::vector<std::string> objects;
  Manifest manifest;
  uint64_t weightsSize = 0;           // bytes not covered by a chunk are zero
  std::vector<WeightChunk> weights;
  int threads = 0;                    // for the chunks; 0: all allowed cores
  bool sanitized = false;             // the objects refer to ASan's runtime
};

/// Features of a CPU level ("x86-64-v3", "avx512", "vnni", "amx"), in the
/// manifest's spelling; empty for an unknown level.
std::vector<std::string> levelFeatures(const std::string &level);

/// Writes the artifact; either all of it is at spec.output afterwards or
/// nothing has changed there. The same spec gives the same bytes. The result
/// has code Lacking for what the machine refuses (disk, permission, linker),
/// Refused for errors of chunks, Defect when the objects do not link.
CompileResult writeArtifact(const ArtifactSpec &spec);

} // namespace sq

#endif
