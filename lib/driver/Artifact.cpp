#include "lib/driver/Artifact.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/Threading.h"

#include "lib/driver/CheckedFile.h"
#include "lib/driver/ElfObject.h"
#include "lib/driver/Linker.h"
#include "lib/driver/RuntimeHeader.h"
#include "runtime/core/manifest_generated.h"
#include "runtime/core/trailer.h"

using namespace llvm;

namespace sq {
namespace {

/// A file that is gone at the end of its scope, also after a signal.
class ScratchFile {
public:
  explicit ScratchFile(std::string path) : path(std::move(path)) {
    sys::RemoveFileOnSignal(this->path);
  }
  ~ScratchFile() {
    sys::fs::remove(path); // after a rename there is nothing to remove
    sys::DontRemoveFileOnSignal(path);
  }
  ScratchFile(const ScratchFile &) = delete;

  const std::string path;
};

/// A file size limit is to be an error (EFBIG), not the end of the process;
/// the linker inherits this.
class IgnoreFileSizeSignal {
public:
  IgnoreFileSizeSignal() { previous = signal(SIGXFSZ, SIG_IGN); }
  ~IgnoreFileSizeSignal() { signal(SIGXFSZ, previous); }

private:
  void (*previous)(int);
};

/// Enumerators of manifest.fbs carry the names of sq.dtype.
Expected<manifest::DType> dtypeOf(const std::string &name) {
  for (manifest::DType type : manifest::EnumValuesDType())
    if (name == manifest::EnumNameDType(type))
      return type;
  return createStringError("unknown dtype '" + name + "' in the signature");
}

Expected<flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<manifest::Tensor>>>>
addTensors(flatbuffers::FlatBufferBuilder &builder, const std::vector<ManifestTensor> &tensors) {
  std::vector<flatbuffers::Offset<manifest::Tensor>> offsets;
  for (const ManifestTensor &tensor : tensors) {
    Expected<manifest::DType> dtype = dtypeOf(tensor.dtype);
    if (!dtype)
      return dtype.takeError();
    std::vector<flatbuffers::Offset<manifest::Dim>> dims;
    for (const ManifestDim &dim : tensor.dims) {
      auto name = builder.CreateString(dim.name);
      dims.push_back(manifest::CreateDim(builder, name, dim.min, dim.max));
    }
    auto name = builder.CreateString(tensor.name);
    offsets.push_back(
        manifest::CreateTensor(builder, name, *dtype, builder.CreateVector(dims)));
  }
  return builder.CreateVector(offsets);
}

Expected<std::string> serialize(const Manifest &m, uint64_t weightsSize, XXH128_hash_t hash) {
  flatbuffers::FlatBufferBuilder builder;
  auto inputs = addTensors(builder, m.inputs);
  if (!inputs)
    return inputs.takeError();
  auto outputs = addTensors(builder, m.outputs);
  if (!outputs)
    return outputs.takeError();
  auto addKernels = [&](const std::vector<ManifestKernel> &list) {
    std::vector<flatbuffers::Offset<manifest::Kernel>> kernels;
    for (const ManifestKernel &kernel : list) {
      auto name = builder.CreateString(kernel.name);
      auto nodes = builder.CreateVectorOfStrings(kernel.nodes);
      auto formula = [&](const std::string &text) { return builder.CreateSharedString(text); };
      auto flops = formula(kernel.flops), read = formula(kernel.bytesRead), written = formula(kernel.bytesWritten);
      kernels.push_back(manifest::CreateKernel(builder, name, nodes, flops, read, written));
    }
    return builder.CreateVector(kernels);
  };
  std::vector<flatbuffers::Offset<manifest::Variant>> variants;
  for (const ManifestVariant &variant : m.variants) {
    auto level = builder.CreateString(variant.level);
    auto features = builder.CreateVectorOfStrings(variant.features);
    flatbuffers::Offset<manifest::DeviceCode> device;
    if (variant.device) {
      const ManifestDevice &d = *variant.device;
      auto functions = builder.CreateVectorOfStrings(d.functions);
      auto messages = builder.CreateVectorOfStrings(d.messages);
      builder.ForceVectorAlignment(d.cubin.size(), 1, 16); // as the schema asks
      auto cubin = builder.CreateVector(reinterpret_cast<const uint8_t *>(d.cubin.data()), d.cubin.size());
      auto ptx = d.ptx.empty() ? flatbuffers::Offset<flatbuffers::String>() : builder.CreateString(d.ptx);
      device = manifest::CreateDeviceCode(builder, d.architecture, functions, messages, cubin, ptx);
    }
    flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<manifest::Kernel>>> own;
    if (!variant.kernels.empty())
      own = addKernels(variant.kernels);
    variants.push_back(manifest::CreateVariant(builder, level, features, variant.widened, device, own));
  }
  auto producer = builder.CreateString(m.producer);
  auto modelName = builder.CreateString(m.modelName);
  auto variantVector = builder.CreateVector(variants);
  auto kernelVector = addKernels(m.kernels);
  auto report = builder.CreateString(m.report);
  std::vector<flatbuffers::Offset<manifest::Widened>> widened;
  for (const ManifestWidened &w : m.widened)
    widened.push_back(manifest::CreateWidened(builder, w.source, w.destination, w.depth, w.columns));
  auto widenedVector = builder.CreateVector(widened);
  std::vector<flatbuffers::Offset<manifest::Unpacked>> unpacked;
  for (const ManifestUnpacked &u : m.unpacked)
    unpacked.push_back(manifest::CreateUnpacked(builder, u.source, u.destination, u.count, u.bits));
  auto unpackedVector = builder.CreateVector(unpacked);
  flatbuffers::Offset<manifest::Cache> cache;
  if (m.cache) {
    std::vector<flatbuffers::Offset<manifest::State>> states;
    for (const ManifestState &state : m.cache->states)
      states.push_back(manifest::CreateState(builder, state.input, state.output, state.axis, state.heads, state.size));
    auto stateVector = builder.CreateVector(states);
    auto selected = builder.CreateVector(m.cache->selected);
    cache = manifest::CreateCache(builder, stateVector, m.cache->tokens, m.cache->positions, m.cache->vocabulary, selected);
  }
  builder.Finish(manifest::CreateManifest(builder, SQ_FORMAT_VERSION, producer, modelName, *inputs,
                                          *outputs, variantVector, kernelVector, weightsSize,
                                          hash.low64, hash.high64, report, widenedVector,
                                          m.widenedSize, cache, m.codedBegin, m.codedEnd, unpackedVector, m.unpackedSize),
                 manifest::ManifestIdentifier());
  return std::string(reinterpret_cast<const char *>(builder.GetBufferPointer()),
                     builder.GetSize());
}

/// Fills the weight section, chunks side by side.
Error fillChunks(const ArtifactSpec &spec, MutableArrayRef<uint8_t> section) {
  std::vector<const WeightChunk *> chunks;
  for (const WeightChunk &chunk : spec.weights)
    chunks.push_back(&chunk);
  llvm::sort(chunks, [](const WeightChunk *a, const WeightChunk *b) {
    return a->offset < b->offset;
  });
  uint64_t end = 0;
  for (const WeightChunk *chunk : chunks) {
    if (chunk->offset < end || chunk->offset > section.size() ||
        chunk->size > section.size() - chunk->offset)
      return createStringError("weight chunk [" + Twine(chunk->offset) + ", +" +
                               Twine(chunk->size) + ") overlaps another or exceeds the section of " +
                               Twine(section.size()) + " bytes");
    end = chunk->offset + chunk->size;
  }

  std::atomic<size_t> next{0};
  std::mutex mutex;
  Error first = Error::success();
  auto work = [&] {
    for (size_t i; (i = next++) < chunks.size();) {
      Error error = chunks[i]->write(section.slice(chunks[i]->offset, chunks[i]->size));
      if (!error)
        continue;
      std::lock_guard<std::mutex> lock(mutex);
      next = chunks.size();
      if (first)
        consumeError(std::move(error));
      else
        first = std::move(error);
    }
  };
  unsigned allowed = hardware_concurrency(spec.threads).compute_thread_count();
  size_t count = std::min<size_t>(std::max(1u, allowed), chunks.size());
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < count; ++i)
    helpers.emplace_back(work);
  work();
  for (std::thread &helper : helpers)
    helper.join();
  return first;
}

/// The header beside a static library: the C API and, as a comment, the
/// signature of the model.
std::string headerText(const Manifest &m) {
  auto plain = [](StringRef name) { // names come from the model: keep them inside the comment
    std::string text;
    for (char c : name)
      text += (c < ' ' || c == '*' || c == '\x7f') ? '_' : c;
    return text;
  };
  std::string text;
  raw_string_ostream os(text);
  os << "/* Made by sq. Link the .a beside this file with -lm -lpthread -ldl, and load the model\n"
        " * with sq_module_load(NULL, NULL, &module).\n *\n";
  auto list = [&](const char *title, const std::vector<ManifestTensor> &tensors) {
    os << " * " << title << ":\n";
    for (const ManifestTensor &tensor : tensors) {
      os << " *   " << plain(tensor.name) << ": " << tensor.dtype << " [";
      for (size_t i = 0; i < tensor.dims.size(); ++i) {
        const ManifestDim &dim = tensor.dims[i];
        os << (i ? ", " : "") << plain(dim.name) << (dim.name.empty() ? "" : "=") << dim.min;
        if (dim.max == INT64_MAX)
          os << "..";
        else if (dim.max != dim.min)
          os << ".." << dim.max;
      }
      os << "]\n";
    }
  };
  list("Inputs", m.inputs);
  list("Outputs", m.outputs);
  os << " */\n" << kDlpackHeader << "\n" << kRuntimeHeader;
  return text;
}

/// lld writes to OUTPUT.tmp<random> first, and does not always get to remove
/// it when a full disk kills it.
void removeLinkerScratch(StringRef linked) {
  std::string prefix = (sys::path::filename(linked) + ".tmp").str();
  StringRef directory = sys::path::parent_path(linked);
  std::error_code error;
  SmallVector<std::string> found;
  for (sys::fs::directory_iterator it(directory.empty() ? "." : directory, error), end;
       !error && it != end; it.increment(error))
    if (sys::path::filename(it->path()).starts_with(prefix))
      found.push_back(it->path());
  for (const std::string &path : found)
    sys::fs::remove(path);
}

/// One call of writeArtifact.
class Writer {
public:
  explicit Writer(const ArtifactSpec &spec) : spec(spec) {}

  CompileResult run() {
    write();
    if (result.code == ExitCode::Done)
      result.weightBytes = static_cast<int64_t>(spec.weightsSize);
    return std::move(result);
  }

private:
  void fail(ExitCode code, const Twine &message) {
    result.code = code;
    result.message = message.str();
  }
  void failWriting(Error error) {
    fail(ExitCode::Lacking, "cannot write '" + spec.output + "': " + toString(std::move(error)));
  }

  /// A name beside the output, of a file that does not exist yet.
  bool reserveScratchName(SmallString<128> &name) {
    int fd;
    SmallString<128> directory(sys::path::parent_path(spec.output));
    if (std::error_code error = sys::fs::createUniqueFile(
            (directory.empty() ? Twine("") : Twine(directory) + "/") + ".sq-%%%%%%%%.tmp", fd,
            name)) {
      failWriting(createStringError(error, error.message()));
      return false;
    }
    sys::fs::file_t file = sys::fs::convertFDToNativeFile(fd);
    sys::fs::closeFile(file);
    return true;
  }

  void write();
  bool writeData(const std::string &path);
  bool writeArchiveFile(const std::string &object, const std::string &path);
  bool writeText(const std::string &text, const std::string &path);
  bool rename(const std::string &from, const std::string &to) {
    if (std::error_code error = sys::fs::rename(from, to)) {
      failWriting(createStringError(error, error.message()));
      return false;
    }
    return true;
  }

  const ArtifactSpec &spec;
  CompileResult result;
};

bool Writer::writeData(const std::string &path) {
  bool badChunk = false;
  Error badManifest = Error::success();
  Error error = writeDataObject(
      path, spec.weightsSize,
      [&](MutableArrayRef<uint8_t> section) {
        Error error = fillChunks(spec, section);
        badChunk = static_cast<bool>(error);
        return error;
      },
      [&](ArrayRef<uint8_t> section) -> std::string {
        Expected<std::string> bytes =
            serialize(spec.manifest, section.size(), XXH3_128bits(section.data(), section.size()));
        if (bytes)
          return std::move(*bytes);
        badManifest = joinErrors(std::move(badManifest), bytes.takeError());
        return {};
      });
  if (badManifest) {
    consumeError(std::move(error));
    fail(ExitCode::Defect, toString(std::move(badManifest)));
    return false;
  }
  if (error) {
    if (badChunk)
      fail(ExitCode::Refused, toString(std::move(error)));
    else
      failWriting(std::move(error));
    return false;
  }
  return true;
}

bool Writer::writeArchiveFile(const std::string &object, const std::string &path) {
  Expected<NewArchiveMember> member = NewArchiveMember::getFile(object, /*Deterministic=*/true);
  if (!member) {
    failWriting(member.takeError());
    return false;
  }
  member->MemberName = "sq-model.o"; // not the scratch name
  if (Error error = writeChecked(path, WriteMode::Replace, [&](raw_ostream &os) {
        return writeArchiveToStream(os, *member, SymtabWritingMode::NormalSymtab,
                                    object::Archive::K_GNU, /*Deterministic=*/true,
                                    /*Thin=*/false);
      })) {
    failWriting(std::move(error));
    return false;
  }
  return true;
}

bool Writer::writeText(const std::string &text, const std::string &path) {
  Error error = writeChecked(path, WriteMode::Replace, [&](raw_ostream &os) {
    os << text;
    return Error::success();
  });
  bool failed = static_cast<bool>(error);
  if (failed)
    failWriting(std::move(error));
  return !failed;
}

void Writer::write() {
  sys::fs::file_status status;
  if (!sys::fs::status(spec.output, status) && !sys::fs::is_regular_file(status))
    return fail(ExitCode::Lacking, "cannot write '" + spec.output +
                                       "': it exists and is not a regular file; name a new file");
  IgnoreFileSizeSignal ignoreFileSizeSignal;
  StringRef suffix = sys::path::extension(spec.output);
  ArtifactKind kind = suffix == ".so"  ? ArtifactKind::Shared
                      : suffix == ".a" ? ArtifactKind::Relocatable
                                       : ArtifactKind::Executable;
  SmallString<128> scratchName;
  if (!reserveScratchName(scratchName))
    return;
  // The reserved name is the final file's; the others derive from it.
  ScratchFile final{std::string(scratchName)};
  ScratchFile data{final.path + ".data.o"}, linked{final.path + ".linked"};
  if (!writeData(data.path))
    return;

  LinkJob job{kind, spec.objects, linked.path, final.path, spec.threads,
              spec.sanitized};
  job.objects.push_back(data.path);
  ExitCode code;
  if (Error error = link(job, code)) {
    removeLinkerScratch(linked.path);
    if (code == ExitCode::Lacking)
      return failWriting(std::move(error));
    return fail(code, toString(std::move(error)));
  }

  uint64_t size = 0;
  sys::fs::file_size(linked.path, size);
  result.codeBytes = static_cast<int64_t>(size - spec.weightsSize);
  if (kind == ArtifactKind::Relocatable) {
    SmallString<128> header(spec.output);
    sys::path::replace_extension(header, ".h");
    ScratchFile headerScratch{final.path + ".h"};
    if (writeArchiveFile(linked.path, final.path) &&
        writeText(headerText(spec.manifest), headerScratch.path) &&
        rename(headerScratch.path, std::string(header)))
      rename(final.path, spec.output);
    return;
  }
  if (Error error = appendTrailer(linked.path))
    return failWriting(std::move(error));
  rename(linked.path, spec.output);
}

} // namespace

std::vector<std::string> levelFeatures(const std::string &level) {
  // As -march=x86-64-v3 and its AVX-512 supersets need them; runtime/core/cpu.cpp
  // knows how to ask for each.
  std::vector<std::string> features;
  auto add = [&](std::initializer_list<const char *> more) {
    features.insert(features.end(), more.begin(), more.end());
  };
  const char *const order[] = {"x86-64-v3", "avx512", "vnni", "amx"};
  size_t rank = std::find(std::begin(order), std::end(order), level) - std::begin(order);
  if (rank == std::size(order))
    return features;
  add({"avx2", "fma", "bmi1", "bmi2", "f16c", "lzcnt", "movbe"});
  if (rank >= 1)
    add({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
  if (rank >= 2)
    add({"avx512vnni"});
  if (rank >= 3)
    add({"avx512bf16", "amx-tile", "amx-int8", "amx-bf16"});
  return features;
}

CompileResult writeArtifact(const ArtifactSpec &spec) { return Writer(spec).run(); }

} // namespace sq
