#include "runtime/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/core/error.h"

namespace sq {
namespace {

constexpr uint64_t maxManifestSize = 1 << 28;

bool equal(sq_hash128 a, XXH128_hash_t b) { return a.low == b.low64 && a.high == b.high64; }

sq_status corrupt(const char *path, const char *what) {
  return fail(SQ_STATUS_CORRUPT, "'%s' %s; build it again", path, what);
}

/* pread(2) of exactly `size` bytes. Reading instead of mapping: a file that
 * shrinks meanwhile is an error, not a SIGBUS. */
sq_status readAt(const char *path, int fd, uint64_t offset, void *data, size_t size) {
  for (char *to = static_cast<char *>(data); size;) {
    ssize_t n = pread(fd, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail(SQ_STATUS_IO, "cannot read '%s': %s", path, strerror(errno));
    if (n == 0)
      return corrupt(path, "became shorter while it was read");
    to += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return SQ_STATUS_OK;
}

sq_status hashRange(const char *path, int fd, uint64_t offset, uint64_t end, XXH3_state_t *state) {
  char buffer[1 << 16];
  while (offset < end) {
    size_t size = end - offset < sizeof(buffer) ? end - offset : sizeof(buffer);
    if (sq_status status = readAt(path, fd, offset, buffer, size))
      return status;
    XXH3_128bits_update(state, buffer, size);
    offset += size;
  }
  return SQ_STATUS_OK;
}

bool inside(uint64_t offset, uint64_t size, uint64_t end) {
  return offset <= end && size <= end - offset;
}

sq_status check(const char *path, bool verifyWeights, ArtifactFile *file) {
  struct stat status;
  if (fstat(file->fd, &status))
    return fail(SQ_STATUS_IO, "cannot read '%s': %s", path, strerror(errno));
  if (!S_ISREG(status.st_mode))
    return fail(SQ_STATUS_CORRUPT, "'%s' is not a regular file", path);
  uint64_t size = static_cast<uint64_t>(status.st_size);
  sq_trailer &t = file->trailer;
  if (size < sizeof(t))
    return corrupt(path, "is not an artifact of sq, or was truncated");
  if (sq_status failed = readAt(path, file->fd, size - sizeof(t), &t, sizeof(t)))
    return failed;
  if (memcmp(t.magic, SQ_TRAILER_MAGIC, sizeof(t.magic)))
    return corrupt(path, "is not an artifact of sq, or was truncated");
  if (!equal(t.self_hash, XXH3_128bits(&t, offsetof(sq_trailer, self_hash))))
    return corrupt(path, "has a damaged trailer");
  if (t.version != SQ_TRAILER_VERSION || t.size != sizeof(t))
    return fail(SQ_STATUS_UNSUPPORTED,
                "'%s' has format version %u, this runtime reads %u; use the runtime of the sq that "
                "built it",
                path, t.version, SQ_TRAILER_VERSION);
  if (t.payload_size != size - sizeof(t) ||
      !inside(t.weights_offset, t.weights_size, t.payload_size) ||
      !inside(t.manifest_offset, t.manifest_size, t.payload_size) ||
      t.manifest_size > maxManifestSize)
    return corrupt(path, "has sizes that contradict each other");

  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  if (sq_status failed = hashRange(path, file->fd, 0, t.weights_offset, &state))
    return failed;
  uint64_t weightsEnd = t.weights_offset + t.weights_size;
  if (sq_status failed = hashRange(path, file->fd, weightsEnd, t.payload_size, &state))
    return failed;
  if (!equal(t.code_hash, XXH3_128bits_digest(&state)))
    return corrupt(path, "was changed after it was built: the hash of code and manifest differs");
  if (verifyWeights) {
    XXH3_128bits_reset(&state);
    if (sq_status failed = hashRange(path, file->fd, t.weights_offset, weightsEnd, &state))
      return failed;
    if (!equal(t.weights_hash, XXH3_128bits_digest(&state)))
      return corrupt(path, "was changed after it was built: the hash of the weights differs");
  }

  file->manifest = static_cast<uint8_t *>(malloc(t.manifest_size ? t.manifest_size : 1));
  if (!file->manifest)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for the manifest of '%s'", path);
  return readAt(path, file->fd, t.manifest_offset, file->manifest, t.manifest_size);
}

} // namespace

sq_status openArtifact(const char *path, bool verifyWeights, ArtifactFile *file) {
  *file = {};
  /* O_NONBLOCK: a FIFO must not hang the caller. */
  file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd < 0)
    return fail(errno == ENOENT ? SQ_STATUS_NOT_FOUND : SQ_STATUS_IO, "cannot open '%s': %s", path,
                strerror(errno));
  sq_status status = check(path, verifyWeights, file);
  if (status) {
    close(file->fd);
    free(file->manifest);
    *file = {-1, {}, nullptr};
  }
  return status;
}

} // namespace sq
