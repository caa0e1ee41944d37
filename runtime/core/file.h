/* An artifact as a file: opened and checked, not yet mapped. */
#ifndef SQ_RUNTIME_CORE_FILE_H
#define SQ_RUNTIME_CORE_FILE_H

#include "runtime/core/trailer.h"
#include "sq/runtime.h"

namespace sq {

struct ArtifactFile {
  int fd;             /* -1: none */
  sq_trailer trailer;
  uint8_t *manifest;  /* malloc'ed copy, trailer.manifest_size bytes */
};

/* Opens `path` and checks trailer, sizes and the hash of all but the weights
 * (of them too with `verifyWeights`), and reads the manifest. On failure
 * nothing stays open. */
sq_status openArtifact(const char *path, bool verifyWeights, ArtifactFile *file);

} // namespace sq

#endif
