#include "lib/driver/Linker.h"

#include <cstdlib>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Signals.h"

#include "lib/driver/CheckedFile.h"
#include "lib/driver/ElfObject.h"
#include "lib/driver/Toolchain.h"
#include "runtime/core/trailer.h"

using namespace llvm;

namespace sq {
namespace {

/// What a shared object shows of itself: the C API and the descriptor. Two
/// artifacts in one process must not see each other's kernels.
constexpr char kVersionScript[] = R"({
  global: sq_artifact; sq_last_error; sq_status_string; sq_runtime_version;
          sq_module_*; sq_session_*; sq_lm_*;
  local: *;
};
)";

/// Where the archives lie that are linked into artifacts: beside the tool
/// (../lib), else where they were built.
std::string libraryPath(StringRef name) {
  static int anchor;
  SmallString<256> path(
      sys::path::parent_path(sys::path::parent_path(sys::fs::getMainExecutable(nullptr, &anchor))));
  sys::path::append(path, "lib", name);
  if (sys::fs::exists(path))
    return std::string(path);
  return (Twine(SQ_LIBRARY_DIR) + "/" + name).str();
}

Expected<std::string> findLinker() {
  if (const char *chosen = getenv("SQ_LD")) {
    // findProgramByName takes a name with a slash as it is.
    ErrorOr<std::string> found = sys::findProgramByName(chosen);
    if (found && sys::fs::can_execute(*found))
      return *found;
    return createStringError(Twine("SQ_LD names the linker '") + chosen +
                             "', which is not an executable file; set it to ld.lld-22 or unset it");
  }
  for (const char *name : {SQ_LLD, "ld.lld-22", "ld.lld"}) {
    ErrorOr<std::string> found = sys::findProgramByName(name);
    if (found && sys::fs::can_execute(*found))
      return *found;
  }
  return createStringError(
      "no linker found; install Debian's lld-22 or name one with the environment variable SQ_LD");
}

std::vector<std::string> linkArguments(const LinkJob &job, const std::string &linker,
                                       const std::string &versionScript) {
  std::vector<std::string> args{linker, "-m", "elf_x86_64", "-o", job.output, "--strip-debug"};
  auto add = [&](std::initializer_list<std::string> more) {
    args.insert(args.end(), more.begin(), more.end());
  };
  if (job.threads > 0)
    add({"--threads=" + std::to_string(job.threads)});
  if (job.kind != ArtifactKind::Relocatable)
    add({"--gc-sections", "--build-id=none", "--hash-style=gnu", "--as-needed",
         "-z", "now", "-z", "noexecstack"});
  if (job.kind != ArtifactKind::Relocatable && !job.sanitized)
    add({"--no-undefined"});
  if (job.kind == ArtifactKind::Relocatable)
    add({"-r"});
  if (job.kind == ArtifactKind::Shared)
    // -Bsymbolic: a model loaded beside another one uses its own runtime.
    add({"-shared", "-Bsymbolic", "--version-script=" + versionScript});
  if (job.kind == ArtifactKind::Executable)
    add({"-pie", "-dynamic-linker", SQ_DYNAMIC_LINKER, SQ_CRT_START, SQ_CRT_INIT});
  args.insert(args.end(), job.objects.begin(), job.objects.end());
  if (job.kind == ArtifactKind::Executable)
    for (const char *name : {SQ_RUN_ARCHIVES})
      args.push_back(libraryPath(name));
  add({"--whole-archive", libraryPath(SQ_RUNTIME_ARCHIVE), "--no-whole-archive"});
  if (job.kind == ArtifactKind::Executable) // static: the result needs libc and libm only
    add({SQ_LIBSTDCXX, SQ_LIBGCC_EH});
  if (job.kind != ArtifactKind::Relocatable)
    add({SQ_LIBGCC, "-L" SQ_LIBC_DIR, "-lm", "-lc", SQ_LIBGCC});
  if (job.kind == ArtifactKind::Executable)
    add({SQ_CRT_FINI});
  return args;
}

sq_hash128 toHash(XXH128_hash_t hash) { return {hash.low64, hash.high64}; }

Error malformed(const Twine &what) {
  return createStringError(Twine("the linked file ") + what);
}

} // namespace

Error link(const LinkJob &job, ExitCode &code) {
  code = ExitCode::Lacking;
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();

  const std::string script = job.scratch + ".map", log = job.scratch + ".log";
  scope_exit cleanUp([&] {
    for (const std::string &path : {script, log}) {
      sys::fs::remove(path);
      sys::DontRemoveFileOnSignal(path);
    }
  });
  sys::RemoveFileOnSignal(script);
  sys::RemoveFileOnSignal(log);
  if (Error error = writeChecked(script, WriteMode::Replace, [](raw_ostream &os) {
        os << kVersionScript;
        return Error::success();
      }))
    return error;

  std::vector<std::string> args = linkArguments(job, *linker, script);
  std::vector<StringRef> argRefs(args.begin(), args.end());
  std::string failure;
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log), StringRef(log)};
  int status = sys::ExecuteAndWait(*linker, argRefs, std::nullopt, redirects, 0, 0, &failure);
  if (status == 0)
    return Error::success();

  std::string output;
  if (ErrorOr<std::unique_ptr<MemoryBuffer>> text = MemoryBuffer::getFile(log))
    output = (*text)->getBuffer().trim().str();
  if (output.empty())
    output = failure.empty() ? "exit status " + std::to_string(status) : failure;
  // The linker writes through a mapping; on a full disk that is a SIGBUS.
  if (StringRef(failure).contains("Bus error"))
    output = "no space left on the device (bus error)";
  StringRef text(output);
  bool machine = status < 0 || text.contains("No space left") || text.contains("File too large") ||
                 text.contains("Disk quota") || text.contains("Cannot allocate memory") ||
                 text.contains("Permission denied");
  code = machine ? ExitCode::Lacking : ExitCode::Defect;
  return createStringError("linker '" + *linker + "' failed: " + output);
}

Expected<SmallVector<char, 0>> linkDeviceImage(ArrayRef<char> object) {
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  SmallString<128> in, out;
  for (auto [path, suffix] : {std::pair(&in, "o"), std::pair(&out, "so")})
    if (std::error_code error = sys::fs::createTemporaryFile("sq", suffix, *path))
      return createStringError(error, "cannot make a temporary file: " + error.message());
  scope_exit cleanUp([&] {
    sys::fs::remove(in);
    sys::fs::remove(out);
  });
  if (Error error = writeChecked(std::string(in), WriteMode::Replace, [&](raw_ostream &os) {
        os.write(object.data(), object.size());
        return Error::success();
      }))
    return error;
  StringRef args[] = {*linker, "-m", "elf_x86_64", "-shared", "--hash-style=gnu", "-o", out, in};
  std::string problem;
  std::optional<StringRef> quiet[] = {StringRef(""), StringRef(""), StringRef("")};
  if (sys::ExecuteAndWait(*linker, args, std::nullopt, quiet, 0, 0, &problem))
    return createStringError("linker '" + *linker + "' failed for a device image: " + problem);
  ErrorOr<std::unique_ptr<MemoryBuffer>> image = MemoryBuffer::getFile(out, false, false);
  if (!image)
    return createStringError(image.getError(), image.getError().message());
  return SmallVector<char, 0>((*image)->getBufferStart(), (*image)->getBufferEnd());
}

Error appendTrailer(const std::string &path) {
  sq_trailer trailer = {};
  memcpy(trailer.magic, SQ_TRAILER_MAGIC, sizeof(trailer.magic));
  trailer.version = SQ_TRAILER_VERSION;
  trailer.size = sizeof(trailer);
  {
    ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
        MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!buffer)
      return createStringError(buffer.getError(), buffer.getError().message());
    StringRef file = (*buffer)->getBuffer();
    auto elf = object::ELFFile<object::ELF64LE>::create(file);
    if (!elf)
      return elf.takeError();
    auto sections = elf->sections();
    if (!sections)
      return sections.takeError();
    for (const auto &section : *sections) {
      Expected<StringRef> name = elf->getSectionName(section);
      if (!name)
        return name.takeError();
      if (*name == kWeightsSection && section.sh_size) {
        trailer.weights_offset = section.sh_offset;
        trailer.weights_size = section.sh_size;
      } else if (*name == kManifestSection) {
        trailer.manifest_offset = section.sh_offset;
        trailer.manifest_size = section.sh_size;
      }
    }
    if (!trailer.manifest_size)
      return malformed("has no manifest");
    trailer.payload_size = file.size();
    const char *data = file.data();
    uint64_t weightsEnd = trailer.weights_offset + trailer.weights_size;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
      return createStringError("out of memory");
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, data, trailer.weights_offset);
    XXH3_128bits_update(state, data + weightsEnd, file.size() - weightsEnd);
    trailer.code_hash = toHash(XXH3_128bits_digest(state));
    XXH3_freeState(state);
    trailer.weights_hash =
        toHash(XXH3_128bits(data + trailer.weights_offset, trailer.weights_size));
  }
  trailer.self_hash = toHash(XXH3_128bits(&trailer, offsetof(sq_trailer, self_hash)));

  return writeChecked(path, WriteMode::Append, [&](raw_ostream &os) {
    os.write(reinterpret_cast<const char *>(&trailer), sizeof(trailer));
    return Error::success();
  });
}

} // namespace sq
