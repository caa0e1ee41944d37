/// Whole files, with messages that say which file and why.
#ifndef SQ_LIB_TENSORIO_FILE_H
#define SQ_LIB_TENSORIO_FILE_H

#include "lib/tensorio/Tensor.h"

namespace sq {

/// An open regular file whose reads are checked against its size.
class InputFile {
public:
  InputFile() = default;
  InputFile(const InputFile &) = delete;
  ~InputFile();
  Status open(const std::string &path);
  uint64_t size() const { return fileSize; }
  const std::string &path() const { return name; }
  /// Reads exactly `count` bytes at `offset`; refused when the file is shorter.
  Status read(uint64_t offset, void *to, size_t count) const;

private:
  int fd = -1;
  uint64_t fileSize = 0;
  std::string name;
};

/// Writes `parts` one after the other. A regular file appears whole under its
/// name or not at all (a temporary name beside it, renamed); pipes and devices
/// are written directly.
struct Bytes {
  const void *data;
  size_t size;
};
Status writeFile(const std::string &path, const std::vector<Bytes> &parts);

bool isDirectory(const std::string &path);
bool exists(const std::string &path);

} // namespace sq

#endif
