#include "lib/tensorio/File.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sq {
namespace {

/// What errno means for the user: a wrong name is the input's fault, the rest
/// (permission, disk, descriptors) the machine's.
Status fault(const std::string &what, const std::string &path, int error) {
  std::string why = what + " '" + path + "': " + std::strerror(error);
  bool wrongName = error == ENOENT || error == ENOTDIR || error == EISDIR || error == ENAMETOOLONG;
  return wrongName ? Status::refused(why) : Status::lacking(why);
}

bool writeAll(int fd, const Bytes &part) {
  const char *p = static_cast<const char *>(part.data);
  for (size_t left = part.size; left;) {
    ssize_t n = ::write(fd, p, left);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    p += n;
    left -= n;
  }
  return true;
}

} // namespace

InputFile::~InputFile() {
  if (fd >= 0)
    ::close(fd);
}

Status InputFile::open(const std::string &path) {
  name = path;
  // Without O_NONBLOCK, opening a pipe that nobody writes would hang.
  fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (fd < 0 || ::fstat(fd, &info) != 0)
    return fault("cannot read", path, errno);
  if (!S_ISREG(info.st_mode))
    return Status::refused("cannot read '" + path + "': it is not a regular file");
  fileSize = info.st_size;
  return {};
}

Status InputFile::read(uint64_t offset, void *to, size_t count) const {
  if (offset > fileSize || count > fileSize - offset)
    return Status::refused("'" + name + "' is truncated: it has " + std::to_string(fileSize) +
                           " bytes, expected at least " + std::to_string(offset) + " + " +
                           std::to_string(count));
  for (char *p = static_cast<char *>(to); count;) {
    ssize_t n = ::pread(fd, p, count, offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fault("cannot read", name, errno);
    if (n == 0)
      return Status::refused("'" + name + "' became shorter while it was read");
    p += n;
    offset += n;
    count -= n;
  }
  return {};
}

Status writeFile(const std::string &path, const std::vector<Bytes> &parts) {
  struct stat info;
  bool special = ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  std::string temporary = special ? path : path + ".part" + std::to_string(::getpid());
  int flags = O_WRONLY | O_CLOEXEC | (special ? 0 : O_CREAT | O_EXCL);
  int fd = ::open(temporary.c_str(), flags, 0666);
  if (fd < 0) {
    // The directory's lack is the machine's, not the model's: exit code 3.
    return Status::lacking("cannot write '" + path + "': " + std::strerror(errno));
  }
  bool good = true;
  int error = 0;
  for (const Bytes &part : parts)
    if (good && !writeAll(fd, part))
      good = false, error = errno;
  if (::close(fd) != 0 && good) // delayed write errors show here
    good = false, error = errno;
  if (good && !special && ::rename(temporary.c_str(), path.c_str()) != 0)
    good = false, error = errno;
  if (good)
    return {};
  if (!special)
    ::unlink(temporary.c_str());
  return Status::lacking("cannot write '" + path + "': " + std::strerror(error));
}

bool isDirectory(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool exists(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

} // namespace sq
