#include "lib/importer/ExternalData.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SHA1.h"

#include "lib/importer/Messages.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace llvm;

namespace sq::importer {
namespace {

// A FIFO must not block the open, a terminal must not become ours.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

Error refuse(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), message);
}

Error openError(StringRef path, int error) {
  std::string file = "external data file " + quoted(path);
  switch (error) {
  case ENOENT:
    return refuse(file + " is missing; put it beside the model");
  case ELOOP:
    return refuse(file + " is reached through a symbolic link; put the file itself beside the model");
  case EXDEV:
    return refuse(file + " lies outside the model's directory");
  default:
    return refuse("cannot open " + file + ": " + std::strerror(error));
  }
}

Expected<int> onlyRegular(int fd, StringRef path) {
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
    return fd;
  close(fd);
  return refuse("external data file " + quoted(path) + " is not a regular file");
}

Error checkLocation(StringRef location) {
  if (location.empty())
    return refuse("external data has no location");
  if (location.contains('\0'))
    return refuse("external data location " + quoted(location) + " contains a zero byte");
  if (location.starts_with("/"))
    return refuse("external data location " + quoted(location) +
                  " is absolute; make it relative to the model's directory");
  SmallVector<StringRef> components;
  location.split(components, '/');
  if (is_contained(components, ".."))
    return refuse("external data location " + quoted(location) +
                  " contains '..'; the file must lie in the model's directory");
  return Error::success();
}

Expected<uint64_t> parseNumber(StringRef key, StringRef text) {
  uint64_t number;
  // getAsInteger takes signs and prefixes; ONNX writes plain decimals.
  if (!all_of(text, isDigit) || text.getAsInteger(10, number))
    return refuse("external data " + key + " " + quoted(text) +
                  " is not a decimal number of bytes below 2^64");
  return number;
}

} // namespace

Expected<ExternalReference>
ExternalReference::parse(ArrayRef<std::pair<std::string, std::string>> entries) {
  ExternalReference reference;
  StringSet<> seen;
  for (const auto &[key, value] : entries) {
    if (!seen.insert(key).second)
      return refuse("external data has the key " + quoted(key) + " twice");
    if (key == "location") {
      reference.location = value;
    } else if (key == "offset" || key == "length") {
      Expected<uint64_t> number = parseNumber(key, value);
      if (!number)
        return number.takeError();
      if (key == "offset")
        reference.offset = *number;
      else
        reference.length = *number;
    } else if (key == "checksum") {
      reference.sha1 = StringRef(value).lower();
    } else {
      return refuse("external data has the unknown key " + quoted(key) +
                    "; known are location, offset, length and checksum");
    }
  }
  if (Error error = checkLocation(reference.location))
    return error;
  return reference;
}

Expected<int> openBeneathByWalk(int directory, StringRef path) {
  if (Error error = checkLocation(path))
    return error;
  SmallVector<StringRef> components;
  path.split(components, '/', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  int current = dup(directory);
  if (current < 0)
    return openError(path, errno);
  scope_exit closeCurrent([&] { close(current); });
  for (auto [index, component] : enumerate(components)) {
    // O_PATH first: opening a device can have effects, and a link must be seen as one.
    int next = openat(current, component.str().c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
      return openError(path, errno);
    close(current);
    current = next;
    struct stat info;
    if (fstat(current, &info) != 0)
      return openError(path, errno);
    if (S_ISLNK(info.st_mode))
      return openError(path, ELOOP);
    if (index + 1 < components.size())
      continue;
    if (!S_ISREG(info.st_mode))
      return refuse("external data file " + quoted(path) + " is not a regular file");
    int file = open(("/proc/self/fd/" + Twine(current)).str().c_str(), kOpenFlags);
    if (file < 0)
      return openError(path, errno);
    return onlyRegular(file, path);
  }
  return refuse("external data file " + quoted(path) + " is not a regular file");
}

Expected<int> openBeneath(int directory, StringRef path) {
  if (Error error = checkLocation(path))
    return error;
  open_how how = {};
  how.flags = kOpenFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long fd;
  do {
    fd = syscall(SYS_openat2, directory, path.str().c_str(), &how, sizeof(how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  if (fd >= 0)
    return onlyRegular(static_cast<int>(fd), path);
  // Before Linux 5.6, or a seccomp filter that does not know the call.
  if (errno == ENOSYS || errno == EPERM || errno == EINVAL)
    return openBeneathByWalk(directory, path);
  return openError(path, errno);
}

struct ExternalFiles::File {
  const char *data = nullptr;
  uint64_t size = 0;
  std::string sha1; // computed when first asked for

  ~File() {
    if (data)
      munmap(const_cast<char *>(data), size);
  }
};

ExternalFiles::~ExternalFiles() {
  if (directoryFd >= 0)
    close(directoryFd);
}

Expected<std::shared_ptr<ExternalFiles::File>> ExternalFiles::map(StringRef location) {
  auto known = files.find(location);
  if (known != files.end())
    return known->second;
  if (!directory)
    return refuse("external data file " + quoted(location) +
                  " is refused: this model has no directory");
  if (directoryFd < 0) {
    directoryFd = open(directory->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directoryFd < 0)
      return refuse("cannot open the model's directory " + quoted(*directory) + ": " +
                    std::strerror(errno));
  }
  Expected<int> fd = openBeneath(directoryFd, location);
  if (!fd)
    return fd.takeError();
  scope_exit closeFile([&] { close(*fd); });
  auto file = std::make_shared<File>();
  struct stat info;
  if (fstat(*fd, &info) != 0)
    return openError(location, errno);
  if (info.st_size > 0) {
    void *data = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, *fd, 0);
    if (data == MAP_FAILED)
      return refuse("cannot map external data file " + quoted(location) + ": " +
                    std::strerror(errno));
    file->data = static_cast<const char *>(data);
    file->size = info.st_size;
  }
  files[location] = file;
  return file;
}

Expected<OwnedBytes> ExternalFiles::read(const ExternalReference &reference, uint64_t size) {
  if (reference.length && *reference.length != size)
    return refuse("external data length is " + Twine(*reference.length) +
                  " bytes, dtype and shape need " + Twine(size));
  Expected<std::shared_ptr<File>> file = map(reference.location);
  if (!file)
    return file.takeError();
  uint64_t fileSize = (*file)->size;
  // In this order nothing overflows.
  if (reference.offset > fileSize || size > fileSize - reference.offset)
    return refuse("external data of " + Twine(size) + " bytes at offset " +
                  Twine(reference.offset) + " ends outside file " + quoted(reference.location) +
                  " of " + Twine(fileSize) + " bytes; the file is truncated or another one");
  if (!reference.sha1.empty()) {
    std::string &sha1 = (*file)->sha1;
    if (sha1.empty()) {
      SHA1 hash;
      hash.update(ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>((*file)->data), fileSize));
      sha1 = toHex(hash.final(), /*LowerCase=*/true);
    }
    if (sha1 != reference.sha1)
      return refuse("external data file " + quoted(reference.location) + " has SHA1 " + sha1 +
                    ", the model expects " + quoted(reference.sha1));
  }
  return OwnedBytes{{(*file)->data + reference.offset, static_cast<size_t>(size)}, *file};
}

} // namespace sq::importer
