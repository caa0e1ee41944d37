/// Weights in files beside the model: finding them without leaving the model's directory, and
/// mapping them.
#ifndef SQ_LIB_IMPORTER_EXTERNALDATA_H
#define SQ_LIB_IMPORTER_EXTERNALDATA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace sq::importer {

/// What the `external_data` entries of a tensor say.
struct ExternalReference {
  std::string location; ///< relative to the model's directory, '/' between components
  uint64_t offset = 0;  ///< bytes
  std::optional<uint64_t> length; ///< bytes; absent: as many as the tensor needs
  std::string sha1;               ///< of the whole file, hexadecimal; empty: not given

  /// Reads key-value pairs. Refuses keys it does not know, repeated keys, numbers that are not
  /// plain decimals, and locations that are absolute or contain "..".
  static llvm::Expected<ExternalReference>
  parse(llvm::ArrayRef<std::pair<std::string, std::string>> entries);
};

/// Bytes that live as long as `owner`.
struct OwnedBytes {
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;
};

/// Opens `path` below `directory` for reading and returns the descriptor. No component may be a
/// symbolic link or lead out of the directory; only regular files open. Uses openat2 and, where
/// the kernel or a sandbox refuses that, `openBeneathByWalk`.
llvm::Expected<int> openBeneath(int directory, llvm::StringRef path);
llvm::Expected<int> openBeneathByWalk(int directory, llvm::StringRef path);

/// The files of one model, each opened and mapped once. A mapping is read-only and private; a
/// file that is shortened while it is mapped makes the reader fault, as with any mapped file.
class ExternalFiles {
public:
  /// `directory` is the model's; without one every reference is refused.
  explicit ExternalFiles(std::optional<std::string> directory) : directory(std::move(directory)) {}
  ~ExternalFiles();
  ExternalFiles(const ExternalFiles &) = delete;
  ExternalFiles &operator=(const ExternalFiles &) = delete;

  /// The `size` bytes that `reference` means. Fails when a given length is not `size` or when
  /// offset and length lie outside the file.
  llvm::Expected<OwnedBytes> read(const ExternalReference &reference, uint64_t size);

private:
  struct File;
  llvm::Expected<std::shared_ptr<File>> map(llvm::StringRef location);

  std::optional<std::string> directory;
  int directoryFd = -1;
  llvm::StringMap<std::shared_ptr<File>> files;
};

} // namespace sq::importer

#endif
