/// Runs the linker and adds the trailer: from object files to the bytes of an
/// artifact.
#ifndef SQ_LIB_DRIVER_LINKER_H
#define SQ_LIB_DRIVER_LINKER_H

#include <string>
#include <vector>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include "sq/compiler.h"

namespace sq {

enum class ArtifactKind { Shared, Executable, Relocatable };

struct LinkJob {
  ArtifactKind kind;
  std::vector<std::string> objects;
  std::string output;
  std::string scratch; // prefix of temporary file names, in a writable directory
  int threads = 0;     // 0: the linker's default
  bool sanitized = false; // ASan's symbols stay open: the loading program has them
};

/// Links sq's runtime in. Deterministic: no times, paths or identifiers reach
/// the output. On failure `code` is Lacking (linker or disk) or Defect.
llvm::Error link(const LinkJob &job, ExitCode &code);

/// A relocatable x86-64 object as a shared object by itself, without sq's
/// runtime: device code for the emulator of test/cuda.
llvm::Expected<llvm::SmallVector<char, 0>> linkDeviceImage(llvm::ArrayRef<char> object);

/// Appends the trailer (runtime/core/trailer.h) to a linked file.
llvm::Error appendTrailer(const std::string &path);

} // namespace sq

#endif
